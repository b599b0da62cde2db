"""The real time; tests bring their own."""

from __future__ import annotations

import time


class SystemClock:
    """`ports.Clock` of a process."""

    def now(self) -> float:
        """Seconds since the epoch, UTC."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()
