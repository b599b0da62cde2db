"""A stop that does not wait for the batch at hand to fill up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from stream_processor.ports import Source
from stream_processor.runtime.retry import Stop

_LOOK_SECONDS = 0.1


@contextmanager
def interrupted_by(stop: Stop, source: Source) -> Iterator[None]:
    """Inside the block, interrupt the source's poll as soon as `stop` is set."""
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            if stop.wait(_LOOK_SECONDS):
                source.interrupt()
                return

    watcher = threading.Thread(target=watch, name="stop", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
