"""Child processes that are servers: started on loopback ports, stopped by process id."""

from __future__ import annotations

import contextlib
import enum
import fcntl
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from stream_processor.errors import Unavailable

PORTS = range(20_000, 32_000)
"""Below the ports that kernels give to outgoing connections, so that a server which is restarted
finds its port still free."""

POLL_SECONDS = 0.05
DYING_SECONDS_MAX = 5.0


class Lifetime(enum.Enum):
    """When a server ends that nobody stops."""

    PARENT = "with the process that started it, even when that one is killed"
    DETACHED = "never: it is left running"


# What becomes the server: it leaves this terminal's process group, so that Ctrl-C does not reach
# it, and asks the kernel for the signal itself. Code between fork and exec in *this* process could
# deadlock instead, for it has threads (librdkafka).
_BECOME_SERVER = """
import ctypes, os, signal, sys
os.setsid()
parent = int(sys.argv[1])
if parent and sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if parent and os.getppid() != parent:
    sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process for good: its id may be used again by another one, never with this start time."""

    pid: int
    started_ticks: int

    def is_running(self) -> bool:
        """Whether exactly this process exists and has not ended."""
        return _start_time(self.pid) == self.started_ticks

    def send(self, number: signal.Signals) -> None:
        """Signal it, when it still runs."""
        if self.is_running():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return  # it ended by itself just now


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A server that this process started, or found again by its identity."""

    identity: ProcessIdentity

    def is_running(self) -> bool:
        """Whether it has not ended; collects the exit status of a child that has."""
        with contextlib.suppress(ChildProcessError):  # collected before, or not our child
            os.waitpid(self.identity.pid, os.WNOHANG)
        return self.identity.is_running()

    def stop(self, grace_seconds: float) -> None:
        """SIGTERM, then SIGKILL after the grace. Idempotent; returns when it has ended."""
        self.identity.send(signal.SIGTERM)
        self.identity.send(signal.SIGCONT)  # a suspended process would never see the SIGTERM
        if not wait_until(lambda: not self.is_running(), grace_seconds):
            self.kill()

    def kill(self) -> None:
        """`kill -9`: it gets no chance to tidy up. Returns when it has ended."""
        self.identity.send(signal.SIGKILL)
        if not wait_until(lambda: not self.is_running(), 30):
            raise Unavailable(f"Process {self.identity.pid} does not end, even by SIGKILL.")

    def suspend(self) -> None:
        """SIGSTOP: it answers nothing until `resume`; its sockets stay open."""
        self.identity.send(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT after `suspend`."""
        self.identity.send(signal.SIGCONT)


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server on a folder of its own. As a context manager it stops at the end of the block.

    What is common to `RunningKafka` and `RunningMinio`; each has its own `stop_grace_seconds`.
    """

    data_dir: Path
    port: int
    process: ServerProcess
    stop_grace_seconds: ClassVar[float]

    def stop(self) -> None:
        """Shut down cleanly. Idempotent."""
        self.process.stop(self.stop_grace_seconds)

    def kill(self) -> None:
        """As `kill -9`; a later start on the same folder recovers."""
        self.process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start_server(
    command: Sequence[str], *, log: Path, lifetime: Lifetime, environment: Mapping[str, str]
) -> ServerProcess:
    """Start a server whose output goes to `log`; it does not see Ctrl-C of this terminal.

    With `Lifetime.PARENT` start it from a thread that lives as long as the process does: to the
    kernel, the parent is the thread. Raises `Unavailable` as `refuse_second` does.
    """
    parent = os.getpid() if lifetime is Lifetime.PARENT else 0
    python = sys.executable
    shim = [python, "-I", "-S", "-c", _BECOME_SERVER, str(parent), *command]
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        _lock(output, log)
        pid = os.posix_spawn(
            python,
            shim,
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, output, 2),
            ],
        )
    finally:
        os.close(output)
    return ServerProcess(ProcessIdentity(pid, _start_time(pid) or 0))


@contextlib.contextmanager
def stopped_on_error(server: ServerProcess) -> Iterator[None]:
    """Leave nothing behind when the wait for a server is interrupted, by Ctrl-C for example."""
    try:
        yield
    except BaseException:
        server.kill()
        raise


def refuse_second(log: Path) -> None:
    """Raise `Unavailable` while a server that writes to `log` runs, whoever started it.

    Called before anything in its folder is touched. A server that is just dying is waited for.
    """
    if log.exists():
        with log.open("ab") as output:
            _lock(output.fileno(), log)


def _lock(output: int, log: Path) -> None:
    """The server inherits this open file as its output, and so holds the lock while it lives."""

    def locked() -> bool:
        try:
            fcntl.flock(output, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    if not wait_until(locked, DYING_SECONDS_MAX):
        raise Unavailable(
            f"A server is running on {log.parent} already.",
            hint="Stop it first (`make down`, or end the other demo or test), or use it.",
        )


def free_ports(count: int) -> list[int]:
    """So many different loopback ports that nobody listens on at this moment.

    Somebody may take one before the server does; whoever starts servers tries again then.
    """
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        if is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise Unavailable(f"No free port on 127.0.0.1 between {PORTS.start} and {PORTS.stop}.")


def is_free(port: int) -> bool:
    """Whether a server could listen there now (left-overs of closed connections do not count)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Whether somebody accepts connections there. A bare socket: a client would log its misses."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll until it holds; False when it still does not after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _start_time(pid: int) -> int | None:
    """When it started, in clock ticks since boot; None when it has ended.

    A killed process with many threads is a zombie while the others still hold its sockets: only
    when the last one is gone has it ended.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold spaces and brackets
    state, threads, started = fields[0], int(fields[17]), int(fields[19])
    return None if state in "ZX" and threads <= 1 else started
