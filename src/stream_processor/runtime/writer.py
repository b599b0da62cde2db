"""The one thread that makes batches durable, and how long it is waited for."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any

from stream_processor.errors import CommitHung
from stream_processor.ports import nothing

HEAVY_BYTES = 80 * 2**20
"""A batch whose dead letters weigh more is made durable before the next one is read: these are
described in full, three times as large as the events, and two such batches would be too much."""

_SLICE_SECONDS = 0.05


class Writer:
    """Runs calls in turn. Used by the engine.

    Its thread is a daemon, unlike one of an executor: a commit that hangs must not keep the process
    from ending. That is safe at any moment, since the tables say what became of it.

    `hung_seconds` is longer than any commit on a store that answers or fails, since the store's
    client has limits far below. Only a disk has none: a dead network mount holds a call for ever.
    """

    def __init__(self, hung_seconds: float = 600.0) -> None:
        self.hung = False
        self._hung_seconds = hung_seconds
        self._last: Future[Any] | None = None
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        Thread(target=self._work, name="settle", daemon=True).start()

    def submit(self, call: Callable[..., Any], *args: object) -> Future[Any]:
        """Run it after those before; the future holds what came of it."""
        future = self._last = Future()

        def run() -> None:
            try:
                future.set_result(call(*args))
            except BaseException as error:  # noqa: BLE001 - whoever asks the future is told
                future.set_exception(error)

        self._calls.put(run)
        return future

    def await_end(self, future: Future[Any], between: Callable[[], None] = nothing) -> None:
        """Wait for the end of a call, whatever it is, calling `between` meanwhile.

        Raises `CommitHung` when it does not end. Counts its own waits: a process that was stopped
        and goes on gets the time that it had.
        """
        left = 0 if self.hung else math.ceil(self._hung_seconds / _SLICE_SECONDS)
        while not wait([future], timeout=_SLICE_SECONDS).done:
            if left <= 0:
                self.hung = True
                raise CommitHung(
                    f"a commit has not ended within {self._hung_seconds:g} s and cannot be called "
                    "back",
                    hint="check the disk or mount of the table and start again: the tables know "
                    "whether it landed, so nothing is lost and nothing is written twice",
                )
            left -= 1
            between()

    def close(self) -> None:
        """End after the last call; one that hangs is not waited for again."""
        if self._last is not None:
            with suppress(CommitHung):
                self.await_end(self._last)
        self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            del call  # with it the rows, which would stay in memory until the next batch
