"""The fault proxy does what its table says: a fault test is worth no more than its faults."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.faults.http_wire import Head
from tests.faults.s3_proxy import ANY, S3FaultProxy
from tests.faults.signature import Credentials, signed_again
from tests.faults.tiny_store import TinyStore, tiny_store


@pytest.fixture
def store() -> Iterator[TinyStore]:
    with tiny_store() as running:
        yield running


@pytest.fixture
def proxy(store: TinyStore) -> Iterator[S3FaultProxy]:
    with S3FaultProxy(store.endpoint, Credentials("key", "secret")) as running:
        yield running


@contextlib.contextmanager
def connected(proxy: S3FaultProxy, timeout: float = 5.0) -> Iterator[http.client.HTTPConnection]:
    address = urlsplit(proxy.endpoint)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=timeout)
    with contextlib.closing(connection):
        yield connection


def put(
    connection: http.client.HTTPConnection, key: str, body: bytes = b"x", **headers: str
) -> int:
    connection.request("PUT", key, body, {k.replace("_", "-"): v for k, v in headers.items()})
    answer = connection.getresponse()
    answer.read()
    return answer.status


def test_what_matches_no_rule_passes_unchanged(store: TinyStore, proxy: S3FaultProxy) -> None:
    """The Host header must survive, or no signed request would; one connection serves many."""
    with connected(proxy) as client:
        assert put(client, "/b/one", b"a" * 300_000, If_None_Match="*") == 200
        assert put(client, "/b/one", b"b", If_None_Match="*") == 412
        client.request("HEAD", "/b/one")
        answer = client.getresponse()
        assert (answer.read(), answer.headers["Content-Length"]) == (b"", "300000")
        client.request("GET", "/b/one")
        assert client.getresponse().read() == b"a" * 300_000
    assert set(store.hosts) == {proxy.endpoint.removeprefix("http://")}
    assert [seen.method for seen in proxy.seen] == ["PUT", "PUT", "HEAD", "GET"]


def test_a_chunked_body_passes_with_its_framing(store: TinyStore, proxy: S3FaultProxy) -> None:
    """S3 clients stream uploads in chunks whose framing is part of what they sign."""
    with connected(proxy) as client:
        client.request("PUT", "/b/c", iter([b"abc", b"defg"]), encode_chunked=True)
        assert client.getresponse().status == 200
    assert store.objects["/b/c"] == b"abcdefg"


@pytest.mark.parametrize("mode", ["503-before", "403", "507"])
def test_an_error_before_leaves_the_store_untouched(
    store: TinyStore, proxy: S3FaultProxy, mode: str
) -> None:
    """The client must be able to try again on the same connection and succeed."""
    fault = proxy.inject(mode, key="log/1$", times=2)
    with connected(proxy) as client:
        assert [put(client, "/b/log/1") for _ in range(3)] == [int(mode[:3])] * 2 + [200]
    assert fault.hits == 2
    assert len(store.hosts) == 1


def test_a_rule_lets_others_pass_and_counts(proxy: S3FaultProxy) -> None:
    """A fault in the wrong request would test something else than its test says."""
    proxy.inject("503-before", key="log", after=1, times=ANY)
    with connected(proxy) as client:
        statuses = [put(client, key) for key in ("/other", "/log/1", "/log/2", "/other")]
        assert statuses == [200, 200, 503, 200]
        proxy.clear()
        assert put(client, "/log/3") == 200


def test_an_error_after_tells_of_failure_though_it_was_applied(
    store: TinyStore, proxy: S3FaultProxy
) -> None:
    """The ambiguous commit: the second try meets the client's own first one."""
    fault = proxy.inject("503-after")
    with connected(proxy) as client:
        assert put(client, "/log/1", If_None_Match="*") == 503
        assert put(client, "/log/1", If_None_Match="*") == 412
    assert fault.store_said == [200]
    assert "/log/1" in store.objects


def test_a_reset_after_is_a_reset(store: TinyStore, proxy: S3FaultProxy) -> None:
    """A client treats RST otherwise than a polite end, so the fault must be the real one."""
    proxy.inject("reset-after")
    with connected(proxy) as client, pytest.raises(ConnectionResetError):
        put(client, "/log/1")
    assert "/log/1" in store.objects


def test_hang_after_never_answers(store: TinyStore, proxy: S3FaultProxy) -> None:
    """The client's own time-out must end it, with the write applied."""
    fault = proxy.inject("hang-after")
    with connected(proxy, timeout=0.2) as client, pytest.raises(TimeoutError):
        put(client, "/log/1")
    fault.wait()
    assert "/log/1" in store.objects


def test_a_late_request_is_delivered_when_released(store: TinyStore, proxy: S3FaultProxy) -> None:
    """A PUT of a dead writer that comes after its successor's must meet the condition."""
    fault = proxy.inject("late", key="log/1$")
    with connected(proxy, timeout=0.2) as zombie, pytest.raises(TimeoutError):
        put(zombie, "/log/1", b"old", If_None_Match="*")
    fault.wait()
    assert store.objects == {}
    with connected(proxy) as client:
        assert put(client, "/log/1", b"new", If_None_Match="*") == 200
    fault.release()
    assert fault.wait_delivered() == 412
    assert store.objects == {"/log/1": b"new"}


def test_a_late_request_can_be_answered_at_once(store: TinyStore, proxy: S3FaultProxy) -> None:
    """The client goes on, on a new connection, while its request is still on the way."""
    fault = proxy.inject("late", answer=503)
    with connected(proxy) as client:
        assert put(client, "/log/1", b"old") == 503
        assert put(client, "/log/2") == 200
    fault.release()
    assert fault.wait_delivered() == 200
    assert store.objects["/log/1"] == b"old"


def test_a_slow_request_arrives(proxy: S3FaultProxy) -> None:
    """Slowness is not failure; and a test may end the waiting as soon as it has seen enough."""
    fault = proxy.inject("slow", seconds=60)

    def let_go() -> None:
        fault.wait()
        fault.release()

    impatient = threading.Thread(target=let_go)
    impatient.start()
    with connected(proxy) as client:
        assert put(client, "/a") == 200
    impatient.join()


def test_a_truncated_answer_ends_early(store: TinyStore, proxy: S3FaultProxy) -> None:
    """Half an object must be seen as an error by whoever compares the length."""
    store.objects["/a"] = b"0123456789"
    proxy.inject("truncate", method="GET")
    with connected(proxy) as client:
        client.request("GET", "/a")
        with pytest.raises(http.client.IncompleteRead):
            client.getresponse().read()


def test_a_stripped_condition_overwrites(store: TinyStore, proxy: S3FaultProxy) -> None:
    """A store that ignores If-None-Match is what the start-up proof must find."""
    store.objects["/a"] = b"first"
    signed = "AWS4-HMAC-SHA256 Credential=key/d/r/s3/aws4_request, SignedHeaders=host, Signature=0"
    proxy.inject("strip-if-none-match")
    with connected(proxy) as client:
        assert put(client, "/a", b"second", If_None_Match="*", Authorization=signed) == 200
    assert store.objects["/a"] == b"second"


def test_signing_again_covers_what_is_left() -> None:
    """The new signature is the algorithm's, over the remaining signed headers and nothing else."""
    scope = "20260102/r/s3/aws4_request"
    old = f"AWS4-HMAC-SHA256 Credential=key/{scope}, SignedHeaders=host;if-none-match;x-amz-date"
    lines = (b"host: h", b"x-amz-date: T", f"authorization: {old}".encode())
    head = signed_again(Head(b"PUT /b/k?x=1 HTTP/1.1", lines), Credentials("key", "secret"))
    request = "PUT\n/b/k\nx=1\nhost:h\nx-amz-date:T\n\nhost;x-amz-date\nUNSIGNED-PAYLOAD"
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = b"AWS4secret"
    for part in ("20260102", "r", "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    text = f"AWS4-HMAC-SHA256\nT\n{scope}\n{digest}"
    expected = hmac.digest(key, text.encode(), "sha256").hex()
    assert (head.get("authorization") or "").endswith(
        f"SignedHeaders=host;x-amz-date, Signature={expected}"
    )


def test_a_fault_that_never_strikes_is_told() -> None:
    """A fault test whose fault did not happen must not pass."""
    with tiny_store() as store, S3FaultProxy(store.endpoint) as proxy:
        with pytest.raises(AssertionError, match="no request met the fault late"):
            proxy.inject("late").wait(0.01)
        with pytest.raises(AssertionError, match="needs credentials"):
            proxy.inject("strip-if-none-match")
