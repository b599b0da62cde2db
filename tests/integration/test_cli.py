"""The verbs on real Kafka and MinIO, as a person or a scheduler starts them."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.crash.world import STARTED, stop, wait_until
from tests.stack import Kafka, MakeTopic, Minio
from tests.unit.cli.hostile import NASTY, assert_harmless, assert_no_markup

pytestmark = pytest.mark.stack

PROGRAM = [sys.executable, "-m", "stream_processor.main"]
SCHEMA = """\
version: 1
name: orders
fields:
  - {name: id, type: long, required: true}
  - {name: amount, type: "decimal(12,2)"}
"""


class Terminal:
    """A folder with one pipeline file, and commands that are typed there."""

    def __init__(self, folder: Path, servers: str, topic: str, table: str, more: str = "") -> None:
        self.folder = folder
        self.topic = topic
        self.servers = servers
        (folder / "schema.yaml").write_text(SCHEMA)
        (folder / "pipeline.yaml").write_text(
            "version: 1\nname: orders\n"
            f"id: {topic}\n"
            "source:\n  kafka:\n"
            f"    bootstrap_servers: {servers}\n    topics: [{topic}]\n"
            "    properties: {session.timeout.ms: 6000}\n"
            "schema: {file: schema.yaml}\n"
            f"sink:\n  delta:\n    table: {table}\n    commit: {{every: 200ms}}\n{more}"
        )

    def typed(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, *arguments], cwd=self.folder, env=environment(), capture_output=True,
            text=True, check=False, timeout=120,
        )  # fmt: skip  # pairs of words

    def started(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [*PROGRAM, *arguments], cwd=self.folder, env=environment(), stdout=log, stderr=log
            )
        STARTED.append(process)
        return process

    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""


def environment() -> dict[str, str]:
    """Nothing of ours but what makes words comparable."""
    ours = ("KAFKA_", "S3_", "LAKEHOUSE", "STREAM_PROCESSOR_PROFILE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "COLUMNS": "100", "NO_COLOR": "1"}


def send(servers: str, topic: str, values: list[bytes | None]) -> None:
    """One event each, with a key and headers that want to act on a terminal."""
    producer = Producer({"bootstrap.servers": servers})
    for value in values:
        producer.produce(topic, value, NASTY.encode(), headers=[(NASTY, NASTY.encode())])
    assert producer.flush(30) == 0


GOOD: list[bytes | None] = [
    json.dumps({"id": n, "amount": "1.50", NASTY: NASTY}).encode() for n in range(40)
]
BAD: list[bytes | None] = [
    NASTY.encode(),
    json.dumps({"id": NASTY, "amount": "1"}).encode(),
    json.dumps({"id": 1, "amount": NASTY}, ensure_ascii=False).encode(),
    b'{"id": 1, ' + NASTY.encode(),
    None,
]


@pytest.fixture
def terminal(kafka: Kafka, topic: MakeTopic, tmp_path: Path) -> Terminal:
    name = topic(partitions=2)
    send(kafka.bootstrap_servers, name, GOOD + BAD)
    return Terminal(tmp_path, kafka.bootstrap_servers, name, "./lake/orders")


def test_from_check_to_proof(terminal: Terminal) -> None:
    """A whole first day; nothing that strangers wrote acts on the terminal in any of it."""
    check = terminal.typed("check", "pipeline.yaml", "--connect", "--sample", "100")
    assert check.returncode == 0, check.stdout + check.stderr
    assert "45 events: 40 rows, 5 dead letters, 0 skipped" in check.stdout
    assert f"topic {terminal.topic}: 2 partitions" in check.stdout
    run = terminal.typed("run", "pipeline.yaml", "--until", "latest", "--log-level", "debug")
    assert (run.returncode, run.stdout) == (0, ""), run.stderr
    lines = [json.loads(line) for line in run.stderr.splitlines()]
    assert sum(line.get("rows", 0) for line in lines if line["event"] == "committed") == 40
    verify = terminal.typed("verify", "pipeline.yaml", "--connect")
    assert verify.returncode == 0
    assert verify.stdout.endswith("45 offsets: 40 rows, 5 dead letters, 0 lost, 0 double\n")
    status = terminal.typed("status", "pipeline.yaml")
    assert status.returncode == 0
    assert f"{terminal.topic}   lag 0   last commit" in status.stdout
    as_json = [
        terminal.typed(verb, "pipeline.yaml", "--json").stdout for verb in ("verify", "status")
    ]
    assert all(json.loads(text)["pipeline"] == terminal.topic for text in as_json)
    again = terminal.typed("check", "pipeline.yaml", "--connect", "--sample", "10", "--json")
    assert json.loads(again.stdout)["files"][0]["sample"]["records"] > 0
    for ended in (check, run, verify, status, again):
        assert_harmless(ended.stdout + ended.stderr)
    assert_no_markup(check.stdout + verify.stdout + status.stdout)


def test_check_leaves_no_trace(terminal: Terminal) -> None:
    """It may be run beside a pipeline, and before the first start: nothing is written or joined."""
    before = sorted(path.name for path in terminal.folder.iterdir())
    check = terminal.typed("check", "pipeline.yaml", "--connect", "--sample", "20")
    assert check.returncode == 0, check.stdout
    assert "not there yet, the first run creates it" in check.stdout
    assert sorted(path.name for path in terminal.folder.iterdir()) == before
    admin = AdminClient({"bootstrap.servers": terminal.servers})
    groups = {group.group_id for group in admin.list_consumer_groups().result(30).valid}
    assert terminal.topic not in groups


def test_check_names_every_failing_probe(minio: Minio, kafka: Kafka, tmp_path: Path) -> None:
    """What is away or refused is one line with a hint each; exit 1, for the file is right."""
    storage = (
        "    storage:\n"
        f"      endpoint: {minio.endpoint}\n      access_key_id: {minio.access_key}\n"
        "      secret_access_key: wrong-secret\n"
    )
    terminal = Terminal(
        tmp_path, kafka.bootstrap_servers, "no-such-topic", "s3://lake/orders", storage
    )
    check = terminal.typed("check", "pipeline.yaml", "--connect")
    assert check.returncode == 1
    lines = check.stdout.splitlines()
    failed = [index for index, line in enumerate(lines) if line.startswith("  FAIL")]
    assert [lines[index].split()[1] for index in failed] == ["kafka", "store", "store"]
    assert all("hint:" in lines[index + 1] for index in failed)
    assert "wrong-secret" not in check.stdout + check.stderr


def test_check_on_minio(
    kafka: Kafka, topic: MakeTopic, minio: Minio, bucket_url: str, tmp_path: Path
) -> None:
    """The store's proof passes, and afterwards the bucket is as empty as before."""
    storage = (
        "    storage:\n"
        f"      endpoint: {minio.endpoint}\n      access_key_id: {minio.access_key}\n"
        f"      secret_access_key: {minio.secret_key}\n      region: {minio.region}\n"
    )
    name = topic()
    terminal = Terminal(tmp_path, kafka.bootstrap_servers, name, f"{bucket_url}/orders", storage)
    check = terminal.typed("check", "pipeline.yaml", "--connect", "--sample", "5")
    assert check.returncode == 0, check.stdout
    assert check.stdout.count("enforces conditional writes") == 2
    assert "0 events: 0 rows, 0 dead letters, 0 skipped" in check.stdout
    send(kafka.bootstrap_servers, name, [*GOOD])
    run = terminal.typed("run", "pipeline.yaml", "--until", "latest")
    assert run.returncode == 0, run.stderr
    again = terminal.typed("check", "pipeline.yaml", "--connect")
    assert again.stdout.count("fits the schema") == 2
    assert minio.secret_key not in run.stderr + check.stdout + again.stdout


def test_a_world_that_is_away_at_the_start(terminal: Terminal) -> None:
    """Exit 3, so that a scheduler tries again later; one sentence, and no trace."""
    run = terminal.typed(
        "run", "pipeline.yaml", "--set", "source.kafka.bootstrap_servers=127.0.0.1:9"
    )
    assert run.returncode == 3
    assert "to do: check source.kafka.bootstrap_servers" in run.stderr
    assert "Traceback" not in run.stderr


def test_waiting_for_the_world_can_be_ended(terminal: Terminal) -> None:
    """`--wait` keeps trying; Ctrl-C is then an ordinary end, not one more error."""
    process = terminal.started(
        "run", "pipeline.yaml", "--wait", "--set", "source.kafka.bootstrap_servers=127.0.0.1:9"
    )
    wait_until(lambda: '"waiting"' in terminal.log(), "it does not say that it waits")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_drains(terminal: Terminal, number: signal.Signals, code: int) -> None:
    """Orchestrators read the exit code: a drained stop is success, Ctrl-C is 130."""
    process = terminal.started("run", "pipeline.yaml")
    wait_until(lambda: '"committed"' in terminal.log(), "nothing was committed")
    process.send_signal(number)
    assert process.wait(60) == code, terminal.log()
    verify = terminal.typed("verify", "pipeline.yaml")
    assert verify.stdout.endswith(" 0 lost, 0 double\n")


def test_the_limits_of_a_run(terminal: Terminal) -> None:
    """After N events, and after a time, a run ends by itself with what it has."""
    some = terminal.typed("run", "pipeline.yaml", "--max-records", "10", "-q")
    assert (some.returncode, some.stdout) == (0, "")
    done = json.loads(terminal.typed("verify", "pipeline.yaml", "--json").stdout)
    settled = sum(each["rows"] + each["dead_letters"] for each in done["partitions"])
    assert 10 <= settled < 45
    began = time.monotonic()
    timed = terminal.typed("run", "pipeline.yaml", "--for", "3s")
    assert timed.returncode == 0, timed.stderr
    assert 3 <= time.monotonic() - began < 60
    verify = terminal.typed("verify", "pipeline.yaml")
    assert verify.stdout.endswith("45 offsets: 40 rows, 5 dead letters, 0 lost, 0 double\n")


def test_a_decision_is_asked_for_and_taken(terminal: Terminal) -> None:
    """Retention has passed our offset: exit 1 with the flag to use; with the flag it goes on."""
    first = terminal.typed("run", "pipeline.yaml", "--max-records", "10")
    assert first.returncode == 0, first.stderr
    send(terminal.servers, terminal.topic, [*GOOD])
    admin = AdminClient({"bootstrap.servers": terminal.servers})
    ends = [TopicPartition(terminal.topic, partition, -1) for partition in range(2)]
    for future in admin.delete_records(ends).values():
        future.result(30)
    stopped = terminal.typed("run", "pipeline.yaml", "--until", "latest")
    assert stopped.returncode == 1
    assert "run --accept-gap" in stopped.stderr
    accepted = terminal.typed("run", "pipeline.yaml", "--until", "latest", "--accept-gap")
    assert accepted.returncode == 0, accepted.stderr
    verify = terminal.typed("verify", "pipeline.yaml")
    assert verify.returncode == 0
    assert "holes" in verify.stdout.splitlines()[-1]


def test_status_without_kafka_shows_what_the_tables_say(terminal: Terminal) -> None:
    """While Kafka is down the person on call still sees the last commit and the dead letters."""
    assert terminal.typed("run", "pipeline.yaml", "--until", "latest").returncode == 0
    status = terminal.typed(
        "status", "pipeline.yaml", "--set", "source.kafka.bootstrap_servers=127.0.0.1:9"
    )
    assert status.returncode == 0, status.stderr
    assert "lag not known" in status.stdout
    assert "record.tombstone" in status.stdout
    assert status.stderr.startswith("warning: without lag: ")


def test_the_live_line_on_a_terminal(terminal: Terminal) -> None:
    """On a terminal one line moves, and its words are harmless whatever the events hold."""
    screen, side = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, "run", "pipeline.yaml"],
        cwd=terminal.folder,
        env={**environment(), "TERM": "xterm", "COLUMNS": "200"},
        stdin=side,
        stdout=side,
        stderr=side,
    )
    STARTED.append(process)
    os.close(side)
    shown = b"".join(_read_until(screen, b"rows 40"))
    process.send_signal(signal.SIGINT)
    shown += b"".join(_read_until(screen, b""))
    os.close(screen)
    assert process.wait(60) == 130
    text = shown.decode()
    assert "lag 0" in text
    assert "dead letters 5: " in text
    assert "evil" not in text  # payloads are not shown at all
    last = text.rstrip().splitlines()[-1]
    assert last.endswith("dead letters 5: json.syntax 2, field.type 2, record.tombstone 1")


def _read_until(screen: int, wanted: bytes) -> Iterator[bytes]:
    """What the program shows, up to the wanted words, or to its end if there are none."""
    deadline = time.monotonic() + 60
    seen = b""
    while not wanted or wanted not in seen:
        assert time.monotonic() < deadline, seen[-2000:]
        if not select.select([screen], [], [], 1.0)[0]:
            continue
        try:
            part = os.read(screen, 65536)
        except OSError:  # Linux says so when the other side is gone
            return
        if not part:
            return
        seen += part
        yield part


def test_a_running_pipeline_says_how_it_is_over_http(terminal: Terminal) -> None:
    """Probes and metrics are served while it runs, at the address that the log names."""
    from urllib.request import urlopen

    process = terminal.started("run", "pipeline.yaml", "--set", "observability.listen=127.0.0.1:0")
    wait_until(lambda: '"committed"' in terminal.log(), "nothing was committed")
    listening = next(line for line in terminal.log().splitlines() if '"listening"' in line)
    address = json.loads(listening)["address"]
    with urlopen(f"http://{address}/readyz", timeout=10) as answer:
        assert answer.status == 200
    with urlopen(f"http://{address}/metrics", timeout=10) as answer:
        assert b"stream_processor_records_written_total" in answer.read()
    assert stop(process) == 0
