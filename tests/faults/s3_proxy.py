"""An HTTP proxy before an S3 server that misbehaves on purpose, on the loopback only.

Requests pass byte for byte, the Host header included, so the client's signature stays valid: give
the client the proxy's `endpoint` and the store's own credentials.

    with S3FaultProxy(minio.endpoint) as proxy:
        fault = proxy.inject("503-after", key=r"_delta_log/0+1\\.json$")
        ...                         # the first matching PUT is applied and answered with 503
        fault.wait()                # until it has happened

A client in this very process must release the GIL while it waits, or both stand still until its
time-out. deltalake 1.6.6 does in all that a running pipeline calls, but not in
`alter.set_table_properties`: create tables on the store itself, not through the proxy.

| mode | what happens to a matching request |
|---|---|
| `503-before`, `403`, `507` | answered so; the store never sees it |
| `503-after` | the store applies it, the client is told 503 |
| `reset-after` | the store applies it, the connection is reset |
| `hang-after` | the store applies it, no answer until `release()`, then the connection is closed |
| `late` | held until `release()`; the client gets `answer` at once, or nothing at all |
| `slow` | delivered after `seconds` |
| `strip-if-none-match` | delivered without the condition, signed again (needs `credentials`) |
| `truncate` | the answer's body ends in the middle, and the connection with it |
"""

from __future__ import annotations

import contextlib
import re
import socket
import socketserver
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from tests.faults.http_wire import Head, read_head, request_body
from tests.faults.modes import MODES, Fault
from tests.faults.relay import SOCKET_TIMEOUT_SECONDS, Closed, Relay
from tests.faults.signature import Credentials

ANY = 1 << 30


@dataclass(frozen=True)
class Seen:
    """One request as it arrived, for assertions; `mode` is empty when it simply passed."""

    method: str
    target: str
    mode: str


class S3FaultProxy:
    """The proxy, serving in threads of its own from `with` until its end."""

    def __init__(self, upstream: str, credentials: Credentials | None = None) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._credentials = credentials
        self._faults: list[Fault] = []
        self._seen: list[Seen] = []
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._server = _Server(("127.0.0.1", 0), self._serve)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def endpoint(self) -> str:
        """The URL for clients."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def seen(self) -> tuple[Seen, ...]:
        """Every request so far, in the order in which their heads arrived."""
        with self._lock:
            return tuple(self._seen)

    def inject(  # the six are one rule, named at the call
        self,
        mode: str,
        *,
        key: str = "",
        method: str = "PUT",
        times: int = 1,
        after: int = 0,
        seconds: float = 0.0,
        answer: int | None = None,
    ) -> Fault:
        """Misbehave for the next `times` requests that match, letting the first `after` pass.

        `key` is searched in path and query; `method` may be `""` for any; `times=ANY` lasts until
        `clear`.
        """
        assert mode in MODES, f"there is no fault {mode!r}"
        assert mode != "strip-if-none-match" or self._credentials, f"{mode} needs credentials"
        fault = Fault(mode, method, re.compile(key), times, after, seconds, answer)
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Behave again: forget all rules and release what they hold."""
        with self._lock:
            faults, self._faults = self._faults, []
        for fault in faults:
            fault.release()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()
        self._server.shutdown()
        self._thread.join()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):  # the other side may have closed it already
                    connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()

    def _serve(self, client: socket.socket) -> None:
        """One client connection, request after request."""
        client.settimeout(SOCKET_TIMEOUT_SECONDS)
        with self._lock:
            self._open.add(client)
        try:
            with client.makefile("rb") as reader:
                while (head := read_head(reader)) is not None:
                    if head.get("expect"):
                        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                    self._one(Relay(head, request_body(head, reader), client, self._upstream))
        except (Closed, OSError):
            pass  # the end of a connection, wanted or not, is what this proxy is for
        finally:
            with self._lock:
                self._open.discard(client)

    def _one(self, request: Relay) -> None:
        fault = self._match(request.head)
        with self._lock:
            mode = fault.mode if fault else ""
            self._seen.append(Seen(request.head.method, request.head.target, mode))
        if fault is None:
            request.forward()
        else:
            MODES[fault.mode](request, fault, self._credentials)

    def _match(self, head: Head) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.method not in {"", head.method} or not fault.key.search(head.target):
                    continue
                if fault.after > 0:
                    fault.after -= 1
                elif fault.hits < fault.times:
                    fault.hits += 1
                    return fault
        return None


class _Server(socketserver.ThreadingTCPServer):
    """A thread per connection, all joined at the end."""

    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], serve: Callable[[socket.socket], None]) -> None:
        self._serve = serve
        super().__init__(address, socketserver.BaseRequestHandler)

    def finish_request(self, request: object, client_address: object) -> None:
        """Called by the standard library in the connection's own thread."""
        assert isinstance(request, socket.socket)
        self._serve(request)

    def shutdown_request(self, request: object) -> None:
        """Close without a FIN first, so that a reset is a reset."""
        self.close_request(request)  # type: ignore[arg-type] # the stubs allow a datagram here
