"""A flood of dead letters on real Kafka and MinIO: nothing stops, or nothing more is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from deltalake import DeltaTable

from tests.audit import At, Sent, Tables, audit
from tests.crash.world import stop, topic_id, wait_until
from tests.integration.test_cli import Terminal
from tests.stack import Kafka, MakeTopic, Minio

pytestmark = pytest.mark.stack

GOOD = [b'{"id": %d, "amount": "1.50"}' % number for number in range(100)]
BAD = [b'{"id": %d, "amount": "1,50"}' % number for number in range(100)]
MENDED = "version: 1\nname: orders\nfields: [{name: id, type: long, required: true}]\n"


class World(Terminal):
    """A pipeline with batches of a hundred events and a breaker of the same size, on MinIO."""

    def __init__(self, folder: Path, kafka: Kafka, minio: Minio, topic: str, table: str) -> None:
        storage = {
            "endpoint": minio.endpoint,
            "access_key_id": minio.access_key,
            "secret_access_key": minio.secret_key,
        }
        breaker = "{max_ratio: 0.2, window_records: 100, max_consecutive: 50}"
        more = f"    storage: {json.dumps(storage)}\ndlq: {{breaker: {breaker}}}\n"
        super().__init__(folder, kafka.bootstrap_servers, topic, table, more)
        self.tables = Tables(topic, table, f"{table}__dlq", minio.storage_options)
        self._identity = topic_id(kafka.bootstrap_servers, topic)
        self._sent: dict[int, Sent | None] = {}

    def send(self, values: list[bytes]) -> None:
        def landed(error: Any, message: Any) -> None:
            assert error is None, error
            self._sent[message.offset()] = Sent(message.key(), message.value())

        producer = Producer({"bootstrap.servers": self.servers})
        for value in values:
            producer.produce(self.topic, value, b"k", on_delivery=landed)
        assert producer.flush(30) == 0

    def run(self, *flags: str, action: str) -> tuple[str, ...]:
        """The words of one `run`, with batches of a hundred events."""
        sets = ("sink.delta.commit.max_records=100", f"dlq.breaker.action={action}")
        return ("run", "pipeline.yaml", *(f"--set={each}" for each in sets), *flags)

    def status(self) -> Mapping[str, Any]:
        ended = self.typed("status", "pipeline.yaml", "--json")
        assert ended.returncode == 0, ended.stderr
        return dict(json.loads(ended.stdout))

    def committed(self) -> int:
        """Where the one partition stands."""
        table = DeltaTable(self.tables.data, storage_options=dict(self.tables.storage))
        return table.transaction_version(f"{self.topic}/{self._identity}/0") or 0

    def letters(self) -> list[dict[str, Any]]:
        table = DeltaTable(self.tables.dead, storage_options=dict(self.tables.storage))
        return sorted(table.to_pyarrow_table().to_pylist(), key=lambda row: row["offset"])

    def prove(self) -> None:
        """`verify` and the audit that shares no code with it: all that was sent is there."""
        verified = self.typed("verify", "pipeline.yaml", "--connect")
        assert verified.returncode == 0, verified.stdout + verified.stderr
        audit(self.tables, {At(self._identity, 0): self._sent})

    def prove_what_is_there(self) -> None:
        """The same while the stream is held: nothing is missing before the offset of the table."""
        verified = self.typed("verify", "pipeline.yaml")
        assert verified.returncode == 0, verified.stdout + verified.stderr
        audit(self.tables, partitions=[At(self._identity, 0)])


@pytest.fixture
def world(kafka: Kafka, minio: Minio, topic: MakeTopic, bucket_url: str, tmp_path: Path) -> World:
    return World(tmp_path, kafka, minio, topic(), f"{bucket_url}/orders")


def test_a_surge_goes_on_with_fewer_words_and_ends_by_itself(world: World) -> None:
    """The stream never stops for bad events, and the table says so while it is flooded."""
    world.send(GOOD)
    process = world.started(*world.run(action="surge"))
    wait_until(lambda: world.log().count('"committed"') > 0, "no commit", said=world.log)
    world.send(BAD * 4)
    wait_until(lambda: world.committed() == 500, "the flood was not taken", said=world.log)
    during = world.status()
    world.send(GOOD * 3)
    wait_until(lambda: world.committed() == 800, "it did not go on", said=world.log)
    after = world.status()
    assert stop(process) == 0
    assert during["flooded"] == [world.topic]
    assert "sample" in during["flood"]
    assert (after["flooded"], after["flood"]) == ([], None)
    told = [json.loads(line) for line in world.log().splitlines()]
    changes = [line for line in told if line["event"].startswith("breaker_")]
    assert [line["event"] for line in changes] == ["breaker_opened", "breaker_closed"]
    assert changes[0]["code"] == "field.type"
    letters = world.letters()
    assert len(letters) == 400
    brief = [row for row in letters if row["detail_sampled"]]
    assert len(brief) > 200
    assert letters[0]["detail_sampled"] is False
    for row in letters:
        assert (row["problems"] is None) == (row["message"] is None) == row["detail_sampled"]
        assert (row["value_preview"] is None) == row["detail_sampled"]
    assert len({row["fingerprint"] for row in letters}) == 1
    world.prove()


def test_a_pause_ends_a_bounded_run_and_holds_until_a_person_resumes(world: World) -> None:
    """A supervisor that starts it again must not read the flood bit by bit."""
    world.send(GOOD + BAD * 4)
    bounded = ("--until", "latest")
    first = world.typed(*world.run(*bounded, action="pause"))
    assert first.returncode == 4, first.stderr
    assert "run --resume" in first.stderr
    stood = world.committed()
    assert 150 <= stood <= 200, "the batch that began the flood is written, no other"
    assert not any(row["detail_sampled"] for row in world.letters())
    world.prove_what_is_there()
    again = world.typed(*world.run(*bounded, action="pause"))
    assert (again.returncode, world.committed()) == (4, stood), again.stderr
    held = world.status()
    assert [each["paused"] for each in held["partitions"]] == [True]
    assert "run --resume" in held["flood"]
    resumed = world.typed(*world.run(*bounded, "--resume", action="pause"))
    assert resumed.returncode == 4, "the flood is not over, so a fresh window finds it again"
    assert stood < world.committed() <= stood + 100
    last = world.typed(*world.run(*bounded, action="surge"))
    assert last.returncode == 0, last.stderr
    assert [each["paused"] for each in world.status()["partitions"]] == [False]
    world.prove()


def test_a_waiting_run_goes_on_when_the_schema_is_mended(world: World) -> None:
    """The person edits one file, and needs no restart."""
    world.send(BAD * 3)
    process = world.started(*world.run(action="pause"))
    wait_until(lambda: '"paused"' in world.log(), "it did not pause", said=world.log)
    stood = world.committed()
    assert stood <= 100
    (world.folder / "schema.yaml").write_text("fields: nonsense\n")
    wait_until(lambda: "nonsense" in world.log(), "the mistake was not told", said=world.log)
    assert process.poll() is None
    assert world.committed() == stood
    (world.folder / "schema.yaml").write_text(MENDED)
    wait_until(lambda: world.committed() == 300, "it did not go on", said=world.log)
    assert stop(process) == 0, world.log()
    world.prove()
