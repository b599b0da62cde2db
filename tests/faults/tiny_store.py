"""A store of a few lines behind the proxy's own tests: conditional PUT, GET, HEAD, chunks."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class TinyStore(ThreadingHTTPServer):
    """What it holds, and the Host of each PUT that reached it."""

    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.hosts: list[str] = []

    @property
    def endpoint(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5
    server: TinyStore

    def do_PUT(self) -> None:
        data = self._body()
        self.server.hosts.append(self.headers["Host"])
        if self.headers["If-None-Match"] == "*" and self.path in self.server.objects:
            self._answer(412, b"")
            return
        self.server.objects[self.path] = data
        self._answer(200, b"")

    def do_GET(self) -> None:
        data = self.server.objects.get(self.path)
        self._answer(404 if data is None else 200, data or b"")

    def do_HEAD(self) -> None:
        self.do_GET()

    def _body(self) -> bytes:
        if self.headers["Transfer-Encoding"] != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"]))
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silent: a test's output is for its findings."""


@contextlib.contextmanager
def tiny_store() -> Iterator[TinyStore]:
    """Serve one on a free loopback port."""
    with TinyStore() as store:
        thread = threading.Thread(target=store.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield store
        finally:
            store.shutdown()
            thread.join()
