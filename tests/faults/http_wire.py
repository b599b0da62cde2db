"""HTTP/1.1 messages as the bytes that they are: nothing is decoded, so nothing can be changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO
from urllib.parse import unquote

BLOCK_BYTES = 1 << 16


@dataclass(frozen=True)
class Head:
    """A start line and header lines, exactly as they came, without line ends."""

    start: bytes
    lines: tuple[bytes, ...]

    def get(self, name: str) -> str | None:
        """The value of a header, or None. Names are compared without case."""
        for line in self.lines:
            key, _, value = line.partition(b":")
            if key.strip().lower() == name.encode():
                return value.strip().decode("latin-1")
        return None

    def without(self, name: str) -> Head:
        """The same head with one header left out."""
        kept = (n for n in self.lines if n.partition(b":")[0].strip().lower() != name.encode())
        return replace(self, lines=tuple(kept))

    def raw(self) -> bytes:
        """The bytes for the wire, the empty line included."""
        return b"\r\n".join((self.start, *self.lines, b"", b""))

    @property
    def method(self) -> str:
        """Of a request."""
        return self.start.split(b" ")[0].decode()

    @property
    def target(self) -> str:
        """Path and query of a request, percent-decoded."""
        return unquote(self.start.split(b" ")[1].decode())

    @property
    def status(self) -> int:
        """Of a response."""
        return int(self.start.split(b" ")[1])


def read_head(stream: BinaryIO) -> Head | None:
    """The next head, or None when the other side has closed the connection."""
    start = stream.readline()
    if not start.endswith(b"\n"):
        return None
    lines = []
    while (line := stream.readline().rstrip(b"\r\n")) != b"":
        lines.append(line)
    return Head(start.rstrip(b"\r\n"), tuple(lines))


def request_body(head: Head, stream: BinaryIO) -> Iterator[bytes]:
    """The raw body in blocks, chunk framing included; no body when no length is given."""
    if "chunked" in (head.get("transfer-encoding") or ""):
        yield from _chunks(stream)
    else:
        yield from _exactly(stream, int(head.get("content-length") or 0))


def response_body(head: Head, method: str, stream: BinaryIO) -> Iterator[bytes]:
    """The raw body of a response to `method`; without any length it ends with the connection."""
    if method == "HEAD" or head.status in {204, 304}:
        return
    if "chunked" in (head.get("transfer-encoding") or ""):
        yield from _chunks(stream)
    elif (length := head.get("content-length")) is not None:
        yield from _exactly(stream, int(length))
    else:
        while block := stream.read(BLOCK_BYTES):
            yield block


def _exactly(stream: BinaryIO, count: int) -> Iterator[bytes]:
    while count > 0:
        block = stream.read(min(count, BLOCK_BYTES))
        if not block:
            raise ConnectionError("the body ended early")
        count -= len(block)
        yield block


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    while True:
        size_line = stream.readline()
        yield size_line
        size = int(size_line.split(b";")[0].strip() or b"0", 16)
        if size == 0:
            break
        yield from _exactly(stream, size + 2)
    while True:  # trailers, which aws-chunked may carry its checksums in
        line = stream.readline()
        yield line
        if line in {b"\r\n", b"\n", b""}:
            return
