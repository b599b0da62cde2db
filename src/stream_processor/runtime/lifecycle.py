"""How the process ends: a first signal drains, a second one ends it at once.

    SIGTERM, drained in time     exit 0
    SIGINT (Ctrl-C), in time     exit 130
    deadline missed              exit 1
    second signal                exit 130 (SIGINT) or 1 (SIGTERM), at once

Signals reach a listener thread through `signal.set_wakeup_fd`: the operating system's handler
writes one byte, nothing more. So a second Ctrl-C and the deadline work although the main thread
sits in native code (Kafka, the object store), and no lock is ever taken inside a signal handler,
where `threading.Event.set` could deadlock. Ending at once is safe because only a commit counts.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from stream_processor.ports import Clock

DEADLINE_MISSED = 1
GRACE_SECONDS = 2.0
"""Between the deadline, which the engine keeps itself, and the moment when it is enforced."""

_EXIT_CODES = {signal.SIGTERM: 0, signal.SIGINT: 130}
_LAST_WORDS_SECONDS = 0.5


class Lifecycle:
    """The stop of one process, its deadline and its exit code. Made once by `run`.

    `stop` is set by the first signal; the engine looks at it between batches and in every wait.
    `hard_exit` is `os._exit`: other threads may be stuck. `last_words` is told once when the
    deadline is enforced, on a thread of its own, because a full pipe must not stop the end.
    """

    def __init__(
        self,
        clock: Clock,
        drain_seconds: float,
        hard_exit: Callable[[int], object] = os._exit,
        last_words: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.stop = threading.Event()
        self._clock = clock
        self._drain_seconds = drain_seconds
        self._hard_exit = hard_exit
        self._last_words = last_words
        self._first: signal.Signals | None = None
        self._deadline = math.inf

    @property
    def reason(self) -> str:
        """Why the process ends; empty before a signal."""
        return f"{self._first.name} received" if self._first else ""

    def received(self, signum: int) -> None:
        """Take one signal; called by the listener, or by a test. Unknown numbers are ignored."""
        if signum not in _EXIT_CODES:
            return
        if self._first is not None:
            self._hard_exit(_EXIT_CODES[signal.Signals(signum)] or DEADLINE_MISSED)
            return
        self._deadline = self._clock.monotonic() + self._drain_seconds
        self._first = signal.Signals(signum)
        self.stop.set()

    def remaining_seconds(self) -> float:
        """What is left for draining: infinite before a signal, never negative."""
        return max(0.0, self._deadline - self._clock.monotonic())

    def exit_code(self) -> int:
        """The code of an ending without an error; read once, when everything is closed."""
        if self._first is None:
            return 0
        return _EXIT_CODES[self._first] if self.remaining_seconds() > 0 else DEADLINE_MISSED

    def enforce_deadline(self) -> None:
        """End the process when the deadline and the grace are over; called by the listener."""
        if self._clock.monotonic() < self._deadline + GRACE_SECONDS:
            return
        words = threading.Thread(
            target=self._last_words,
            args=(f"not drained within {self._drain_seconds:g} s; nothing uncommitted was kept",),
            daemon=True,
        )
        words.start()
        words.join(_LAST_WORDS_SECONDS)
        self._hard_exit(DEADLINE_MISSED)

    @contextmanager
    def handling_signals(self) -> Iterator[Lifecycle]:
        """Listen to SIGTERM and SIGINT inside the block; afterwards all is as before.

        Must be entered on the main thread, Python's rule for signal handlers.
        """
        inbox, outbox = socket.socketpair()
        outbox.settimeout(0.0)  # a wakeup socket must not block
        listener = threading.Thread(target=self._listen, args=(inbox,), name="signals", daemon=True)
        listener.start()
        wakeup_before = signal.set_wakeup_fd(outbox.fileno(), warn_on_full_buffer=False)
        before = {number: signal.signal(number, _ignore) for number in _EXIT_CODES}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
            signal.set_wakeup_fd(wakeup_before)
            outbox.close()  # the listener reads the end of the stream and returns
            listener.join()
            inbox.close()

    def _listen(self, inbox: socket.socket) -> None:
        while True:
            left = self._deadline + GRACE_SECONDS - self._clock.monotonic()
            inbox.settimeout(None if math.isinf(left) else max(left, 0.01))
            try:
                numbers = inbox.recv(16)
            except TimeoutError:
                self.enforce_deadline()
                continue
            if not numbers:
                return
            for number in numbers:
                self.received(number)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Take the place of Python's own handler; the byte in the wakeup socket says it all."""
