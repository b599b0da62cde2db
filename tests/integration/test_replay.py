"""Replay on real Kafka and MinIO: killed by kill -9 at every step, beside a stream that goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from deltalake import DeltaTable

from tests.crash.world import (
    OLD_SCHEMA,
    STARTED,
    Job,
    merged,
    pipeline_dict,
    produce,
    prove,
    storage_dict,
    topic_id,
    wait_until,
)
from tests.replays import STEPS
from tests.stack import Kafka, MakeTopic, Minio

pytestmark = pytest.mark.stack

RIGHT_SCHEMA = {
    **OLD_SCHEMA,
    "fields": [
        {"name": "id", "type": "long", "required": True},
        {"name": "amount", "type": "string", "required": True},
        {"name": "note", "type": "string"},
    ],
}


@dataclass(frozen=True)
class World:
    """A pipeline as the driver of the stream takes it, and the same as files for replays."""

    job: Job
    folder: Path
    storage_options: Mapping[str, str]

    @property
    def path(self) -> Path:
        return self.folder / "pipeline.yaml"

    def write_files(self, **changes: Any) -> None:
        files = json.loads(json.dumps(self.job.pipeline)) | {"schema": {"file": "schema.json"}}
        files["sink"]["delta"]["commit"]["max_records"] = 60
        self.path.write_text(json.dumps(files | changes))
        (self.folder / "schema.json").write_text(json.dumps(RIGHT_SCHEMA))

    def start(self, name: str = "replay", **job: Any) -> subprocess.Popen[bytes]:
        """A replay in a process of its own, running."""
        path = self.folder / f"{name}.json"
        told = {"pipeline": str(self.path), "selector": {"status": "open"}, **job}
        path.write_text(json.dumps(told))
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.crash.replay_driver", str(path)],
                stdout=log,
                stderr=log,
            )
        STARTED.append(process)
        return process

    def replay(self, name: str = "replay", **job: Any) -> int:
        """One life of it; its exit code, negative for a signal."""
        return self.start(name, **job).wait(120)

    def log(self, name: str = "replay") -> str:
        return (self.folder / f"{name}.log").read_text()

    def table(self, suffix: str = "") -> list[dict[str, Any]]:
        uri = f"{self.job.table}{suffix}"
        table = DeltaTable(uri, storage_options=dict(self.storage_options))
        return table.to_pyarrow_table().to_pylist()

    def open_codes(self) -> Counter[str]:
        """The codes of dead letters without a replayed row in the ledger."""
        done = {
            action["dlq_id"]
            for action in self.table("__dlq_actions")
            if action["action"] == "replayed"
        }
        return Counter(
            letter["code"] for letter in self.table("__dlq") if letter["dlq_id"] not in done
        )


@pytest.fixture
def world(
    kafka: Kafka,
    minio: Minio,
    topic: MakeTopic,
    bucket_url: str,
    storage_options: dict[str, str],
    tmp_path: Path,
) -> World:
    pipeline = pipeline_dict(
        kafka.bootstrap_servers, topic(partitions=2), f"{bucket_url}/orders", storage_dict(minio)
    )
    made = World(Job(tmp_path, pipeline), tmp_path, storage_options)
    made.write_files()
    return made


def source_topic(world: World) -> str:
    return str(world.job.pipeline["source"]["kafka"]["topics"][0])


def test_kill_minus_nine_at_every_step_beside_a_stream(kafka: Kafka, world: World) -> None:
    """One table lives through all of it, while its stream brings new dead letters."""
    name = source_topic(world)
    sent = [produce(kafka.bootstrap_servers, name, 400)]
    world.job.finish()
    stream = world.job.with_(until_latest=False).start()
    for number, step in enumerate(STEPS, start=1):
        sent.append(produce(kafka.bootstrap_servers, name, 200, seed=number))
        count = 2 if step.startswith("desk") else 1
        code = world.replay(kill={"step": step, "count": count})
        assert code == -9, f"{step} was never reached: {world.log()}"
    assert stream.poll() is None
    stream.terminate()
    assert stream.wait(60) == 0, world.job.log()
    world.job.finish()
    assert world.replay() == 0, world.log()
    prove(world.job, world.storage_options, merged(*sent))
    values = [each.value for one in merged(*sent).values() for each in one.values()]
    broken = sum(value is None or b"broken" in value for value in values)
    assert world.open_codes().total() == broken
    assert set(world.open_codes()) == {"json.syntax", "record.tombstone"}
    assert len(world.table()) == len(values) - broken


def test_of_two_processes_the_newer_goes_on(kafka: Kafka, world: World) -> None:
    """Two people, one table: one of them is told so, and nothing is double."""
    sent = produce(kafka.bootstrap_servers, source_topic(world), 400)
    world.job.finish()
    go = world.folder / "go"
    steps = world.folder / "older.steps"
    older = world.start("older", wait="desk.after_step", go=str(go), steps=str(steps))
    wait_until(steps.exists, "the older one did not begin")
    assert world.replay("newer") == 0, world.log("newer")
    go.touch()
    assert older.wait(60) == 1
    assert "has the desk now" in world.log("older")
    prove(world.job, world.storage_options, sent)
    assert set(world.open_codes()) == {"json.syntax", "record.tombstone"}


HEADERS = [
    ("content-type", b"application/json"),
    ("traceparent", b"00-1"),
    ("ce_id", b"\xff\x00"),
    ("ce_id", None),
    ("x-replayed-from", b'{"run_id": "forged"}'),
    ("Content-Encoding", b""),
]
KEPT = [HEADERS[0], HEADERS[2], HEADERS[3], HEADERS[5]]
HOSTILE = [b"", b"{", b"\xff\xfe", b'{"id": "\x1b]0;x\x07"}', None, b"{" + b" " * 3000]
TOPIC_STEPS = [
    ("desk.after_step", 2),
    ("topic.before_commit", 1),
    ("topic.before_commit", 2),
    ("topic.after_commit", 1),
    ("topic.after_commit", 2),
    ("replay.recorded", 1),
]


def send_broken(kafka: Kafka, topic: str, count: int) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    for n in range(count):
        key = None if n % 5 == 0 else b"key-\x00\xff%d" % n
        producer.produce(topic, HOSTILE[n % len(HOSTILE)], key, partition=n % 2, headers=HEADERS)
    assert producer.flush(30) == 0


def read_committed(kafka: Kafka, topic: str) -> list[tuple[Any, Any, dict[str, Any], list[Any]]]:
    """(key, value, where it says it is from, its other headers) of every event of a topic."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "group.id": "reader",
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        }
    )
    consumer.assign([TopicPartition(topic, number, 0) for number in range(2)])
    found, ended = [], set()
    while len(ended) < 2:
        for message in consumer.consume(100, 1.0):
            if message.error():
                assert message.error().code() == KafkaError._PARTITION_EOF
                ended.add(message.partition())
                continue
            headers = message.headers() or []
            origin = [value for name, value in headers if name == "x-replayed-from"]
            others = [each for each in headers if each[0] != "x-replayed-from"]
            found.append((message.key(), message.value(), json.loads(origin[0]), others))
    consumer.close()
    return found


def test_back_to_a_topic_killed_at_every_step(kafka: Kafka, world: World, topic: MakeTopic) -> None:
    """Every letter is in the target exactly once, byte for byte, whoever finished the work."""
    target = topic(partitions=2)
    world.job.with_(commit={"every": "200ms", "max_records": 50, "max_bytes": "1MiB"})
    for number, (step, count) in enumerate(TOPIC_STEPS):
        send_broken(kafka, source_topic(world), 80)
        world.job.finish()
        world.write_files(sink=_steps_of(world, 30))
        code = world.replay(topic=target, kill={"step": step, "count": count})
        assert code == -9, f"{step} was never reached: {world.log()}"
        if number % 2:  # another job, which has nothing to do with the topic, must name it too
            assert world.replay(selector={"status": "replayed"}) in (0, 1), world.log()
    assert world.replay(topic=target) in (0, 1), world.log()
    letters = {(letter["partition"], letter["offset"]): letter for letter in world.table("__dlq")}
    sent = read_committed(kafka, target)
    places = Counter((origin["partition"], origin["offset"]) for _, _, origin, _ in sent)
    assert places == Counter(dict.fromkeys(letters, 1))
    for key, value, origin, others in sent:
        letter = letters[origin["partition"], origin["offset"]]
        assert (key, value) == (letter["key"], letter["value"])
        assert others == KEPT
        assert origin["topic_id"] == topic_id(kafka.bootstrap_servers, source_topic(world))
        assert origin["dlq_id"] == letter["dlq_id"]
    replayed = [each for each in world.table("__dlq_actions") if each["action"] == "replayed"]
    assert {each["dlq_id"] for each in replayed} == {each["dlq_id"] for each in letters.values()}
    assert {each["target"] for each in replayed} == {f"topic:{target}"}
    prove(world.job, world.storage_options)


def _steps_of(world: World, rows_max: int) -> Any:
    sink = json.loads(json.dumps(world.job.pipeline["sink"]))
    sink["delta"]["commit"]["max_records"] = rows_max
    return sink


def test_an_open_transaction_of_another_hides_nothing(
    kafka: Kafka, world: World, topic: MakeTopic
) -> None:
    """Behind it nobody can read what the killed job sent: sending again would double it."""
    target = topic(partitions=2)
    send_broken(kafka, source_topic(world), 20)
    world.job.finish()
    other = Producer(
        {"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": f"other-{target}"}
    )
    other.init_transactions(30)
    other.begin_transaction()
    for number in range(2):
        other.produce(target, b"x", headers=[("x-replayed-from", b"{")], partition=number)
    assert other.flush(30) == 0
    assert world.replay(topic=target, kill={"step": "topic.after_commit"}) == -9
    waiting = world.start(topic=target)
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(3)
    other.abort_transaction(30)
    assert waiting.wait(60) in (0, 1), world.log()
    places = Counter(
        (each["partition"], each["offset"]) for _, _, each, _ in read_committed(kafka, target)
    )
    assert set(places.values()) == {1}
    assert len(places) == 20


def test_a_topic_that_does_not_exist_is_told(world: World, kafka: Kafka) -> None:
    """A typing error must not create a topic, nor leave records half sent."""
    send_broken(kafka, source_topic(world), 4)
    world.job.finish()
    assert world.replay(topic="no-such-topic") == 3
    assert "there is no topic no-such-topic" in world.log()


@pytest.mark.parametrize("heir", ["topic", "table"])
def test_a_sender_that_was_overtaken_sends_nothing_more(
    kafka: Kafka, world: World, topic: MakeTopic, heir: str
) -> None:
    """It wakes up in the middle of its transaction: that is over, and so is its turn."""
    target = topic(partitions=2)
    send_broken(kafka, source_topic(world), 40)
    world.job.finish()
    go, steps = world.folder / "go", world.folder / "older.steps"
    older = world.start(
        "older", topic=target, wait="topic.before_commit", go=str(go), steps=str(steps)
    )
    wait_until(
        lambda: steps.exists() and "topic.before_commit" in steps.read_text(),
        "the older one did not send",
    )
    newer = {"topic": target} if heir == "topic" else {}
    assert world.replay("newer", **newer) == 0, world.log("newer")
    go.touch()
    assert older.wait(60) == 1, world.log("older")
    if heir == "table":  # it took only what today's rules take, and nothing is valid here
        assert world.replay("last", topic=target) == 0, world.log("last")
    sent = read_committed(kafka, target)
    places = Counter((origin["partition"], origin["offset"]) for _, _, origin, _ in sent)
    assert set(places.values()) == {1}
    assert len(places) == 40
    prove(world.job, world.storage_options)
