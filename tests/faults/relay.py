"""One request on its way from a client to the store and back, as streams."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from tests.faults.http_wire import Head, read_head, response_body

SOCKET_TIMEOUT_SECONDS = 60.0


class Closed(Exception):
    """Ends the client's connection: wanted, not an error."""


@dataclass(eq=False)
class Relay:
    """One request: its body is read at most once, and it is answered at most once."""

    head: Head
    body: Iterator[bytes]
    client: socket.socket
    upstream: tuple[str, int]

    def forward(self, head: Head | None = None) -> int:
        """Deliver it and pass the answer on, both as streams. Returns the status."""
        with self.delivered(head or self.head, self.body) as (answer, blocks):
            self.client.sendall(answer.raw())
            for block in blocks:
                self.client.sendall(block)
        if answer.get("connection") == "close":
            raise Closed
        return answer.status

    @contextlib.contextmanager
    def delivered(
        self, head: Head, body: Iterator[bytes] | list[bytes]
    ) -> Iterator[tuple[Head, Iterator[bytes]]]:
        """Send it to the store; yields the head and the raw body of the answer."""
        with socket.create_connection(self.upstream, SOCKET_TIMEOUT_SECONDS) as store:
            store.sendall(head.raw())
            for block in body:
                store.sendall(block)
            with store.makefile("rb") as reader:
                answer = _final_head(reader)
                yield answer, response_body(answer, head.method, reader)

    def apply(self, body: Iterator[bytes] | list[bytes]) -> int:
        """Deliver it, read the whole answer and keep it from the client. Returns the status."""
        with self.delivered(self.head, body) as (answer, blocks):
            for _ in blocks:
                pass
        return answer.status

    def refuse(self, status: int) -> int:
        """Answer with an S3 error, after the body (which the client would go on sending)."""
        for _ in self.body:
            pass
        return self.answer(status)

    def answer(self, status: int, *headers: bytes) -> int:
        """Answer with an S3 error now."""
        code = {403: "AccessDenied", 503: "SlowDown", 507: "XMinioStorageFull"}
        text = f"<Error><Code>{code.get(status, 'InternalError')}</Code></Error>".encode()
        self.client.sendall(
            b"HTTP/1.1 %d Fault\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n%s\r\n"
            % (status, len(text), b"".join(line + b"\r\n" for line in headers))
        )
        if self.head.method != "HEAD":
            self.client.sendall(text)
        return status


def _final_head(reader: BinaryIO) -> Head:
    while (head := read_head(reader)) is not None:
        if head.status >= 200:
            return head
    raise ConnectionError("the store closed the connection without an answer")
