"""Waiting before the next attempt: exponential backoff with full jitter.

Own code, not a library: what is needed is one formula and one interruptible wait, while the engine
keeps the loop in its own hands because between attempts it pauses, serves Kafka's group and says
why. Full jitter after Marc Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015):
processes that failed together do not come back together.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from stream_processor.errors import Unavailable
from stream_processor.ports import Clock

Result = TypeVar("Result")

_DOUBLINGS_MAX = 32


class Stop(Protocol):
    """What ends every wait early; `threading.Event` is one."""

    def is_set(self) -> bool:
        """Whether the process is asked to end."""

    def wait(self, timeout: float) -> bool:
        """Block for at most `timeout` seconds; True when the process is asked to end."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """The bounds of waiting, in seconds. Without `attempts_max` and `total` it never gives up."""

    first_seconds: float = 0.5
    ceiling_seconds: float = 30.0
    floor_seconds: float = 0.1
    attempts_max: int | None = None
    total_seconds_max: float | None = None

    def delay_seconds(self, failures: int, dice: random.Random) -> float:
        """How long to wait after the `failures`-th failure in a row (1, 2, ...).

        Uniform between nothing and min(ceiling, first * 2^(failures-1)), but at least the floor,
        so that bad luck never makes a busy loop.
        """
        doublings = min(max(failures - 1, 0), _DOUBLINGS_MAX)
        upper = min(self.ceiling_seconds, self.first_seconds * 2**doublings)
        return min(max(dice.uniform(0.0, upper), self.floor_seconds), self.ceiling_seconds)


class Retry:
    """Counts failures in a row and waits between them. One per thing that may be away.

    Used by one thread. The dice are a seeded `random.Random`, the clock and the stop come from
    outside, so that a test owns all three.
    """

    def __init__(self, backoff: Backoff, clock: Clock, dice: random.Random, stop: Stop) -> None:
        self._backoff = backoff
        self._clock = clock
        self._dice = dice
        self._stop = stop
        self._since: float | None = None
        self.failures = 0

    def succeeded(self) -> None:
        """Forget the failures: the next one waits the shortest time again."""
        self.failures = 0
        self._since = None

    def failed(self) -> float | None:
        """Count a failure; return the seconds to wait now, or None when no attempt is left."""
        now = self._clock.monotonic()
        if self._since is None:
            self._since = now
        self.failures += 1
        if self._stop.is_set() or self._exhausted(now - self._since):
            return None
        return self._backoff.delay_seconds(self.failures, self._dice)

    def pause(self) -> bool:
        """Count a failure and wait. True: try again; False: stop was asked for, or no attempt left.

        Blocks for at most `ceiling_seconds`, and returns at once when the stop is set meanwhile.
        """
        delay = self.failed()
        return delay is not None and not self._stop.wait(delay)

    def _exhausted(self, elapsed_seconds: float) -> bool:
        limits = self._backoff
        if limits.attempts_max is not None and self.failures >= limits.attempts_max:
            return True
        return limits.total_seconds_max is not None and elapsed_seconds >= limits.total_seconds_max


def until_available(
    action: Callable[[], Result],
    retry: Retry,
    report: Callable[[Unavailable, int], None],
) -> Result:
    """Call `action` until it does not raise `Unavailable`; for probes and `run --wait`.

    `report(error, failures)` is called after each failure, before the wait. Raises the last
    `Unavailable` when no attempt is left or the stop is set; every other exception passes.
    """
    while True:
        try:
            result = action()
        except Unavailable as error:
            report(error, retry.failures + 1)
            if not retry.pause():
                raise
        else:
            retry.succeeded()
            return result
