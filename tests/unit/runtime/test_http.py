"""The HTTP endpoints: right answers, and a bad client costs nobody anything."""

import http.client
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from stream_processor.errors import ConfigurationError
from stream_processor.runtime import http_server
from stream_processor.runtime.http_server import Answers, is_loopback, parse_listen, serving
from stream_processor.runtime.metrics import Metrics, Subject
from stream_processor.runtime.snapshot import Check

GOOD = (Check("state", ok=True, detail="running"), Check("poll", ok=True, detail="0 s ago"))
BAD = (
    Check("state", ok=False, detail="paused: the broker is away"),
    Check("poll", ok=True, detail="1 s ago"),
)


class World:
    def __init__(self) -> None:
        self.checks: tuple[Check, ...] = GOOD
        self.failures: list[BaseException] = []
        metrics = Metrics(Subject("orders", "orders", "orders__dlq", "0.1.0"))
        self.answers = Answers(self.judge, metrics.registry, self.failures.append)
        self.address = ""

    def judge(self) -> tuple[Check, ...]:
        if not self.checks:
            raise ValueError("a mistake")
        return self.checks

    def ask(
        self, path: str, method: str = "GET", headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        connection = http.client.HTTPConnection(*parse_listen(self.address), timeout=30)
        try:
            connection.request(method, path, headers=headers or {})
            response = connection.getresponse()
            self.headers = dict(response.getheaders())
            return response.status, response.read().decode()
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        return socket.create_connection(parse_listen(self.address), timeout=30)


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    with serving("127.0.0.1:0", world.answers) as world.address:
        yield world


def test_livez_speaks_of_the_process_only(world: World) -> None:
    """An outage of Kafka must not make an orchestrator restart everything."""
    world.checks = BAD
    assert world.ask("/livez") == (200, "ok\n")
    assert world.ask("/healthz") == (200, "ok\n")


def test_readyz_gives_the_reasons(world: World) -> None:
    """503 without a reason sends the person on call to the logs of three machines."""
    assert world.ask("/readyz") == (200, "ok\n")
    world.checks = BAD
    status, text = world.ask("/readyz")
    assert status == 503
    assert text == "not ready\nFAIL  state       paused: the broker is away\n"
    assert "poll" in world.ask("/readyz?verbose=1")[1]
    assert world.headers["Cache-Control"] == "no-store"


def test_verbose_shows_every_check_also_when_all_is_well(world: World) -> None:
    """One wants to see what was looked at."""
    assert world.ask("/readyz?verbose=1") == (
        200,
        "ok\nok    state       running\nok    poll        0 s ago\n",
    )
    assert world.ask("/readyz?verbose")[1].count("\n") == 3


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0", "*/*"])
def test_metrics_are_what_prometheus_reads(world: World, accept: str) -> None:
    """Parsed back, whatever of its formats the scraper prefers."""
    status, text = world.ask("/metrics", headers={"Accept": accept})
    assert status == 200
    assert "stream_processor_build_info" in text
    if "openmetrics" in accept:
        assert text.endswith("# EOF\n")
    else:
        names = {family.name for family in text_string_to_metric_families(text)}
        assert "stream_processor_records_written" in names


def test_only_known_paths_and_reading_methods_answer(world: World) -> None:
    """Nothing can be changed from here, and a typo says what there is."""
    assert world.ask("/")[0] == 404
    assert "/readyz" in world.ask("/ready")[1]
    assert world.ask("/livez", "POST")[0] == 501
    assert world.ask("/livez", "HEAD") == (200, "")


def test_a_mistake_of_ours_is_an_answer_and_is_heard(world: World) -> None:
    """A probe that hangs on a bug looks like a network problem."""
    world.checks = ()
    status, text = world.ask("/readyz")
    assert (status, "ValueError" in text) == (500, False)
    assert isinstance(world.failures[0], ValueError)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET",
        b"GET /livez HTTP/1.1\r\nHost",
        b"GET " + b"x" * 70_000,
        b"GET http://[x/livez HTTP/1.0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00" * 20,
        b"GET /\x1b]52;c;x\x07<b> HTTP/9.9\r\n\r\n",
    ],
)
def test_nonsense_harms_nobody(
    world: World, sent: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    """Port scanners come by; nothing of theirs reaches the log either."""
    with world.connect() as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):
            pass
    assert world.ask("/livez") == (200, "ok\n")
    assert capfd.readouterr() == ("", "")
    assert world.failures == []


def test_silent_clients_cannot_keep_a_probe_out(world: World) -> None:
    """Twenty connections that never speak: the probe is still served at once."""
    silent = [world.connect() for _ in range(20)]
    began = time.monotonic()
    try:
        for _ in range(5):
            assert world.ask("/livez") == (200, "ok\n")
        assert time.monotonic() - began < http_server.CONNECTION_SECONDS_MAX
        assert threading.active_count() < 20
    finally:
        for client in silent:
            client.close()


def test_a_client_that_drips_is_cut_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte a moment resets every socket time-out; only a deadline ends it."""
    monkeypatch.setattr(http_server, "CONNECTION_SECONDS_MAX", 0.5)
    began = time.monotonic()
    with world.connect() as client:
        client.settimeout(0.05)
        client.sendall(b"GET /livez HTTP/1.1\r\n")
        while time.monotonic() - began < 30:
            try:
                client.sendall(b"a")
                if not client.recv(1):
                    break
            except TimeoutError:
                continue
            except (ConnectionResetError, BrokenPipeError):
                break
    assert time.monotonic() - began < 10


def test_the_end_of_the_block_is_the_end_of_the_listener() -> None:
    """A second run in the same process, and a restart, take the same port at once."""
    world = World()
    before = threading.active_count()
    with serving("127.0.0.1:0", world.answers) as world.address:
        client = world.connect()
        world.ask("/livez")
    assert client.recv(1) == b""
    client.close()
    with serving(world.address, world.answers) as again:
        assert again == world.address
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        threading.Event().wait(0.01)  # threads of connections end a moment after their sockets
    assert threading.active_count() <= before


def test_a_port_in_use_is_a_sentence_with_a_hint(world: World) -> None:
    """The commonest mistake: two pipelines with the same file."""
    with (
        pytest.raises(ConfigurationError, match="cannot listen on") as caught,
        serving(world.address, world.answers),
    ):
        raise AssertionError("must not get here")
    assert "another process has this port" in caught.value.hint
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "listen", ["7070", ":7070", "host:", "host:x", "host:70000", "host:-1", ""]
)
def test_an_address_that_is_none_is_refused(listen: str) -> None:
    """An empty host would silently mean "everybody"."""
    with pytest.raises(ConfigurationError) as caught:
        parse_listen(listen)
    assert "127.0.0.1:7070" in caught.value.hint


@pytest.mark.parametrize("listen", ["192.0.2.1:0", "a" * 70 + ".example:1"])
def test_an_address_that_is_not_ours_is_refused(listen: str) -> None:
    """The file came from another machine, or the name is a slip."""
    with (
        pytest.raises(ConfigurationError, match="cannot listen on"),
        serving(listen, World().answers),
    ):
        raise AssertionError("must not get here")


def test_ipv6_and_names_work() -> None:
    """`[::1]:7070` is how such an address is written."""
    assert parse_listen("[::1]:7070") == ("::1", 7070)
    assert [is_loopback(a) for a in ("127.0.0.9:1", "[::1]:1", "localhost:1")] == [True] * 3
    assert [is_loopback(a) for a in ("0.0.0.0:1", "[::]:1", "example.org:1")] == [False] * 3
    world = World()
    with serving("localhost:0", world.answers) as world.address:
        assert world.ask("/livez")[0] == 200
