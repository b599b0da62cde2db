"""Time that only a test moves."""


class ManualClock:
    """A `Clock` and a `Stop` in one: waiting moves the time and is remembered."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.waited: list[float] = []
        self.stop_after: int | None = None

    def now(self) -> float:
        return 1_700_000_000.0 + self.seconds

    def monotonic(self) -> float:
        return self.seconds

    def is_set(self) -> bool:
        return self.stop_after is not None and len(self.waited) >= self.stop_after

    def wait(self, timeout: float) -> bool:
        self.waited.append(timeout)
        self.seconds += timeout
        return self.is_set()
