"""Ending: drain in time, or end anyway, with the exit code that scripts rely on."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from stream_processor.runtime.lifecycle import GRACE_SECONDS, Lifecycle
from tests.unit.runtime.manual_clock import ManualClock

CHILD = """
import sys, time
from stream_processor.runtime.lifecycle import Lifecycle

class Clock:
    now, monotonic = time.time, time.monotonic

mode, drain = sys.argv[1], float(sys.argv[2])
life = Lifecycle(Clock(), drain, last_words=lambda why: print(why, flush=True))
with life.handling_signals():
    print("ready", flush=True)
    life.stop.wait()
    print("draining", life.reason, flush=True)
    if mode == "busy":
        import ctypes
        mutex, lock = ctypes.create_string_buffer(64), ctypes.CDLL(None).pthread_mutex_lock
        lock(mutex), lock(mutex)  # native code that never returns, whatever signal comes
print("bye", flush=True)
sys.exit(life.exit_code())
"""


def life(clock: ManualClock, drain: float = 30) -> tuple[Lifecycle, list[int]]:
    exits: list[int] = []
    return Lifecycle(clock, drain, hard_exit=exits.append), exits


@pytest.mark.parametrize(
    ("number", "late", "code"),
    [
        (signal.SIGTERM, 0, 0),
        (signal.SIGTERM, 29.9, 0),
        (signal.SIGTERM, 30, 1),
        (signal.SIGINT, 0, 130),
        (signal.SIGINT, 30, 1),
    ],
)
def test_the_exit_code_says_who_asked_and_whether_it_was_in_time(
    number: int, late: float, code: int
) -> None:
    """An orchestrator takes 0 for a clean end, a shell takes 130 for Ctrl-C."""
    clock = ManualClock()
    lifecycle, exits = life(clock)
    assert lifecycle.remaining_seconds() == float("inf")
    assert lifecycle.exit_code() == 0
    lifecycle.received(number)
    assert lifecycle.stop.is_set()
    clock.seconds += late
    assert lifecycle.remaining_seconds() == pytest.approx(30 - late)
    assert lifecycle.exit_code() == code
    assert exits == []


@pytest.mark.parametrize(("second", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 1)])
def test_a_second_signal_ends_at_once(second: int, code: int) -> None:
    """Somebody who presses Ctrl-C twice has decided."""
    lifecycle, exits = life(ManualClock())
    lifecycle.received(signal.SIGTERM)
    lifecycle.received(second)
    assert exits == [code]


def test_the_deadline_is_enforced_only_after_its_grace() -> None:
    """The engine gets the chance to end by itself; a stuck one does not keep the process alive."""
    clock = ManualClock()
    lifecycle, exits = life(clock)
    lifecycle.enforce_deadline()
    lifecycle.received(signal.SIGTERM)
    clock.seconds += 30 + GRACE_SECONDS - 0.1
    lifecycle.enforce_deadline()
    assert exits == []
    clock.seconds += 0.1
    lifecycle.enforce_deadline()
    assert exits == [1]


def test_other_signals_are_not_ours() -> None:
    """A resized terminal must not stop the stream."""
    lifecycle, exits = life(ManualClock())
    lifecycle.received(signal.SIGWINCH)
    assert not lifecycle.stop.is_set()
    assert exits == []


def test_the_handlers_are_restored() -> None:
    """Whoever embeds a run, pytest for one, gets its own Ctrl-C back."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    lifecycle, _ = life(ManualClock())
    with lifecycle.handling_signals():
        assert signal.getsignal(signal.SIGINT) is not before[1]
        os.kill(os.getpid(), signal.SIGTERM)
        assert lifecycle.stop.wait(10)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    assert signal.set_wakeup_fd(-1) == -1


class Child:
    """A real process that drains, or does not."""

    def __init__(self, mode: str, drain: float) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, mode, str(drain)], stdout=subprocess.PIPE, text=True
        )
        self.expect("ready")

    def expect(self, text: str) -> None:
        assert self.process.stdout is not None
        assert select.select([self.process.stdout], [], [], 30)[0], f"no {text!r} within 30 s"
        assert text in self.process.stdout.readline()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def code(self) -> int:
        return self.process.wait(30)


@pytest.fixture
def children() -> Iterator[list[Child]]:
    started: list[Child] = []
    yield started
    for child in started:
        child.process.kill()
        child.process.wait()
        assert child.process.stdout is not None
        child.process.stdout.close()


@pytest.mark.parametrize(
    ("number", "code", "name"), [(signal.SIGTERM, 0, "SIGTERM"), (signal.SIGINT, 130, "SIGINT")]
)
def test_a_real_process_drains_and_ends(
    children: list[Child], number: int, code: int, name: str
) -> None:
    """The whole way through the operating system, as `docker stop` and Ctrl-C go it."""
    children.append(child := Child("clean", 30))
    child.signal(number)
    child.expect(f"draining {name} received")
    child.expect("bye")
    assert child.code() == code


def test_a_second_signal_ends_a_process_that_is_stuck_in_native_code(children: list[Child]) -> None:
    """A commit that hangs in the object store's client must not make Ctrl-C useless."""
    children.append(child := Child("busy", 60))
    child.signal(signal.SIGINT)
    child.expect("draining")
    child.signal(signal.SIGINT)
    assert child.code() == 130


def test_the_deadline_ends_a_process_that_is_stuck_in_native_code(children: list[Child]) -> None:
    """The orchestrator must not have to kill it, and the log says why it ended."""
    children.append(child := Child("busy", 0.1))
    child.signal(signal.SIGTERM)
    child.expect("draining")
    child.expect("not drained within 0.1 s")
    assert child.code() == 1
