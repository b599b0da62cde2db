"""The ways to misbehave; `s3_proxy` has the table of what each does."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.faults.relay import Closed, Relay
from tests.faults.signature import Credentials, signed_again


@dataclass(eq=False)
class Fault:
    """One rule, and what became of it. Made by `S3FaultProxy.inject`."""

    mode: str
    method: str
    key: re.Pattern[str]
    times: int
    after: int
    seconds: float
    answer: int | None
    hits: int = 0
    store_said: list[int] = field(default_factory=list)
    happened: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    delivered: threading.Event = field(default_factory=threading.Event)

    def wait(self, seconds: float = 30.0) -> None:
        """Until it has struck for the first time. Raises AssertionError if it does not."""
        assert self.happened.wait(seconds), f"no request met the fault {self.mode}"

    def release(self) -> None:
        """Let go of what `hang-after` and `late` hold; later ones are not held any more."""
        self.released.set()

    def wait_delivered(self, seconds: float = 30.0) -> int:
        """Until a `late` request has reached the store; returns the status that the store gave."""
        assert self.delivered.wait(seconds), f"nothing was delivered by the fault {self.mode}"
        return self.store_said[-1]


def _before(request: Relay, fault: Fault, _: Credentials | None) -> int:
    status = int(fault.mode[:3])
    fault.happened.set()
    return request.refuse(status)


def _error_after(request: Relay, fault: Fault, _: Credentials | None) -> int:
    fault.store_said.append(request.apply(request.body))
    fault.happened.set()
    return request.answer(503)


def _reset_after(request: Relay, fault: Fault, _: Credentials | None) -> int:
    fault.store_said.append(request.apply(request.body))
    fault.happened.set()
    # Linger 0: closing sends RST instead of FIN, as a dying middlebox does.
    request.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise Closed


def _hang_after(request: Relay, fault: Fault, _: Credentials | None) -> int:
    fault.store_said.append(request.apply(request.body))
    fault.happened.set()
    fault.released.wait()
    raise Closed


def _late(request: Relay, fault: Fault, _: Credentials | None) -> int:
    kept = list(request.body)
    if fault.answer is not None:
        # The connection ends with this answer, or the client's next request would wait behind us.
        request.answer(fault.answer, b"Connection: close")
        request.client.shutdown(socket.SHUT_WR)
    fault.happened.set()
    fault.released.wait()
    fault.store_said.append(request.apply(kept))
    fault.delivered.set()
    raise Closed


def _slow(request: Relay, fault: Fault, _: Credentials | None) -> int:
    fault.happened.set()
    fault.released.wait(fault.seconds)
    return request.forward()


def _strip(request: Relay, fault: Fault, credentials: Credentials | None) -> int:
    assert credentials is not None
    fault.happened.set()
    return request.forward(signed_again(request.head.without("if-none-match"), credentials))


def _truncate(request: Relay, fault: Fault, _: Credentials | None) -> int:
    with request.delivered(request.head, request.body) as (answer, blocks):
        whole = b"".join(blocks)
        request.client.sendall(answer.raw() + whole[: len(whole) // 2])
    fault.happened.set()
    raise Closed


MODES: dict[str, Callable[[Relay, Fault, Credentials | None], int]] = {
    "503-before": _before,
    "403": _before,
    "507": _before,
    "503-after": _error_after,
    "reset-after": _reset_after,
    "hang-after": _hang_after,
    "late": _late,
    "slow": _slow,
    "strip-if-none-match": _strip,
    "truncate": _truncate,
}
