"""`observability.listen`: /livez, /readyz and /metrics, for probes and Prometheus.

Nothing here asks Kafka or the store, so an answer is instant and a probe never makes an outage
worse. Every connection has a deadline, and at most a few are served at a time: when they are all
taken, the oldest gives way, so that a client that never finishes cannot keep the probes out.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from stream_processor.errors import ConfigurationError
from stream_processor.runtime.snapshot import Check

CONNECTIONS_MAX = 8
CONNECTION_SECONDS_MAX = 5.0
_GIVE_WAY_SECONDS = 0.5
_SWEEP_SECONDS = 0.25
_TEXT = "text/plain; charset=utf-8"
_HINTS = {
    errno.EADDRINUSE: "another process has this port; name a free one in observability.listen",
    errno.EADDRNOTAVAIL: "this machine has no such address; 127.0.0.1 always works",
    errno.EACCES: "ports below 1024 need special rights; name a higher one",
}


@dataclass(frozen=True, slots=True)
class Answers:
    """Where the answers come from; each is called on the thread of a connection.

    `checks` judges readiness (`snapshot.readiness`); `failed` is told when an answer raised.
    """

    checks: Callable[[], tuple[Check, ...]]
    registry: CollectorRegistry
    failed: Callable[[BaseException], None] = field(default=lambda _: None)


@contextmanager
def serving(listen: str, answers: Answers) -> Iterator[str]:
    """Serve inside the block; yields `host:port` as it is bound (port 0 picks a free one).

    Called by `run` when the pipeline file names `observability.listen`. Raises
    `ConfigurationError` when the address is wrong, taken or not ours.
    """
    server = _bound(listen, answers)
    thread = threading.Thread(
        target=server.serve_forever, args=(_SWEEP_SECONDS,), name="http", daemon=True
    )
    thread.start()
    try:
        host, port = server.server_address[:2]
        yield f"[{host!s}]:{port}" if ":" in str(host) else f"{host!s}:{port}"
    finally:
        server.shutdown()
        server.server_close()
        server.hang_up()
        thread.join()


def parse_listen(listen: str) -> tuple[str, int]:
    """Split `127.0.0.1:7070` or `[::1]:7070`. Raises `ConfigurationError`."""
    host, colon, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigurationError(
            f"observability.listen is not an address with a port: {listen!r}",
            hint="write it like 127.0.0.1:7070",
        )
    return host, int(port)


def is_loopback(listen: str) -> bool:
    """Whether only this machine can ask. Raises as `parse_listen`."""
    host, _ = parse_listen(listen)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bound(listen: str, answers: Answers) -> _Server:
    host, port = parse_listen(listen)
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return _Server(family, address[:2], answers)
    except (OSError, ValueError) as error:  # ValueError: a host that no name can be
        number = getattr(error, "errno", None) or 0
        reason = getattr(error, "strerror", None) or "not a host name"
        raise ConfigurationError(
            f"cannot listen on {listen}: {reason}",
            hint=_HINTS.get(number, "check observability.listen"),
        ) from error


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """A thread per connection, few of them, each with a deadline."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 32

    def __init__(self, family: int, address: tuple[object, ...], answers: Answers) -> None:
        self.address_family = family
        self.answers = answers
        self._open: dict[socket.socket, float] = {}  # in the order of their deadlines
        self._guard = threading.Lock()
        self._slots = threading.BoundedSemaphore(CONNECTIONS_MAX)
        super().__init__(address, _Handler)  # type: ignore[arg-type]  # (host, port) of any family

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a slot, if need be the oldest connection's; without one the client is refused."""
        if not self._slots.acquire(blocking=False):
            self._hang_up_oldest()
            if not self._slots.acquire(timeout=_GIVE_WAY_SECONDS):
                self.shutdown_request(request)
                return
        with self._guard:
            self._open[request] = time.monotonic() + CONNECTION_SECONDS_MAX
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Give the slot back; the library calls this once per connection, however it ended."""
        with self._guard:
            had_slot = self._open.pop(request, None) is not None
        if had_slot:
            self._slots.release()
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Called several times a second by `serve_forever`: end what is overdue."""
        now = time.monotonic()
        with self._guard:
            overdue = [request for request, deadline in self._open.items() if deadline <= now]
        for request in overdue:
            _shut(request)

    def hang_up(self) -> None:
        """End every open connection; their threads then return."""
        with self._guard:
            requests = list(self._open)
        for request in requests:
            _shut(request)

    def handle_error(self, _request: object, _client_address: object) -> None:
        """A client that went away is no event; what an answer raised was told by the handler."""

    def _hang_up_oldest(self) -> None:
        with self._guard:
            oldest = next(iter(self._open), None)
        if oldest is not None:
            _shut(oldest)


class _Handler(BaseHTTPRequestHandler):
    """One request per connection (HTTP/1.0)."""

    server: _Server
    timeout = CONNECTION_SECONDS_MAX
    server_version = "stream-processor"
    sys_version = ""
    error_message_format = "%(code)d %(message)s\n"
    error_content_type = _TEXT

    def do_GET(self) -> None:
        """Answer a probe or a scrape."""
        try:
            status, kind, body = self._answer(*self.path.partition("?")[::2])
        except Exception as error:  # noqa: BLE001 - a probe must get an answer, and we must hear
            self.server.answers.failed(error)
            status, kind, body = 500, _TEXT, b"500 a mistake of ours; see the log\n"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - the name that the library looks for

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Write nothing: probes come every second, and a path is a stranger's text."""

    def _answer(self, path: str, query: str) -> tuple[int, str, bytes]:
        if path in ("/livez", "/healthz"):
            return 200, _TEXT, b"ok\n"
        if path == "/readyz":
            verbose = "verbose" in parse_qs(query, keep_blank_values=True)
            status, text = _ready(self.server.answers.checks(), verbose=verbose)
            return status, _TEXT, text.encode()
        if path == "/metrics":
            encode, kind = choose_encoder(self.headers.get("Accept", ""))
            return 200, kind, encode(self.server.answers.registry)
        return 404, _TEXT, b"404 try /livez, /readyz or /metrics\n"


def _ready(checks: tuple[Check, ...], *, verbose: bool) -> tuple[int, str]:
    bad = [check for check in checks if not check.ok]
    lines = [
        f"{'ok  ' if check.ok else 'FAIL'}  {check.name:<12}{check.detail}\n"
        for check in (checks if verbose else bad)
    ]
    verdict = "not ready\n" if bad else "ok\n"
    return 503 if bad else 200, verdict + "".join(lines)


def _shut(request: socket.socket) -> None:
    try:
        request.shutdown(socket.SHUT_RDWR)
    except OSError:  # it ended by itself meanwhile
        return
