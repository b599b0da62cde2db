"""Waiting for a person while the breaker holds the stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stream_processor.errors import OwnershipChanged, Unavailable
from stream_processor.ports import Observer, Source
from stream_processor.runtime.retry import Stop

_SERVE_SECONDS = 0.05


def never_released() -> bool:
    """For a run whose files nobody watches: it waits until it is stopped."""
    return False


@dataclass(slots=True)
class Holding:
    """`released` is asked again and again, and may look at files; once it says so the run is over,
    to begin again with what was changed. Used by the engine's thread alone."""

    released: Callable[[], bool] = never_released
    over: bool = False

    def wait(
        self, source: Source, observer: Observer, stop: Stop, done: Callable[[], bool]
    ) -> None:
        """Read nothing and serve the group until `done`, or until the assignment changes: what is
        ours then may not be paused."""
        while not done():
            try:
                source.keep_alive()
            except OwnershipChanged:
                return
            except Unavailable as away:
                observer.event("retrying", kind=type(away).__name__, reason=away.message)
            self.over = self.released()
            stop.wait(_SERVE_SECONDS)
