"""A real topic, real tables and processes that die: what the fault tests are made of."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException, Producer, TopicCollection
from confluent_kafka.admin import AdminClient

from stream_processor.config.pipeline import StorageConfig
from stream_processor.operations.snapshots import Tables
from stream_processor.operations.verify import verify
from stream_processor.sources.kafka_admin import create_topic, delete_topic
from tests.audit import At, Expected, Sent, audit
from tests.audit import Tables as AuditTables
from tests.stack import Minio

OLD_SCHEMA = {
    "version": 1,
    "name": "orders",
    "fields": [
        {"name": "id", "type": "long", "required": True},
        {"name": "amount", "type": "string", "required": True, "pattern": "[0-9]+"},
        {"name": "note", "type": "string"},
    ],
}
NEW_SCHEMA = {
    **OLD_SCHEMA,
    "fields": [
        {"name": "id", "type": "long", "required": True},
        {"name": "amount", "type": "string", "required": True, "enum": ["7", "7 EUR", "9 EUR"]},
        {"name": "note", "type": "string"},
    ],
}
"""Judges many events otherwise than OLD_SCHEMA, in both directions; the columns are the same."""


def event(n: int, dice: random.Random) -> bytes | None:
    """Good for both schemas, for one of them, or for none."""
    kind = dice.randrange(10)
    if kind == 0:
        return b'{"id": ' + str(n).encode() + b', "amount": broken'
    if kind == 1:
        return None
    amount = dice.choice(["7", "8", "7 EUR", "9 EUR"])
    return json.dumps({"id": n, "amount": amount, "note": "x" * dice.randrange(60)}).encode()


def produce(
    bootstrap: str, topic: str, count: int, *, partitions: int = 2, seed: int = 0
) -> dict[At, dict[int, Sent | None]]:
    """Send so many events over all partitions; returns where each one landed."""
    identity = topic_id(bootstrap, topic)
    landed: dict[At, dict[int, Sent | None]] = {}
    dice = random.Random(seed)

    def delivered(error: Any, message: Any) -> None:
        assert error is None, error
        at = At(identity, message.partition())
        landed.setdefault(at, {})[message.offset()] = Sent(message.key(), message.value())

    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5})
    for n in range(count):
        key = str(n).encode()
        producer.produce(
            topic, event(n, dice), key, partition=n % partitions, on_delivery=delivered
        )
        producer.poll(0)
    assert producer.flush(60) == 0
    return landed


IMPATIENT = {"timeout": "3s", "max_retries": "2", "retry_timeout": "8s"}
"""Short limits of the store's client, so that a hang costs a test seconds, not minutes."""

STARTED: list[subprocess.Popen[bytes]] = []
"""Every process that a job started; what a failed test leaves behind is ended after it."""


@dataclass(frozen=True)
class Job:
    """One pipeline as the driver takes it; `with_` makes variants."""

    folder: Path
    pipeline: Mapping[str, Any]
    schema: Mapping[str, Any] = field(default_factory=lambda: OLD_SCHEMA)
    until_latest: bool = True
    decisions: Mapping[str, Any] = field(default_factory=dict)
    kill: Mapping[str, Any] | None = None
    name: str = "one"

    def with_(self, **changes: Any) -> Job:
        """The same with other fields; `commit` changes the batch boundaries."""
        commit = changes.pop("commit", None)
        made = replace(self, **changes)
        if commit is None:
            return made
        pipeline = json.loads(json.dumps(made.pipeline))
        pipeline["sink"]["delta"]["commit"] = commit
        return replace(made, pipeline=pipeline)

    @property
    def steps_file(self) -> Path:
        """Every step that the process has passed, one line each."""
        return self.folder / f"{self.name}.steps"

    def start(self) -> subprocess.Popen[bytes]:
        """The process, running."""
        path = self.folder / f"{self.name}.json"
        path.write_text(
            json.dumps(
                {
                    "pipeline": self.pipeline,
                    "schema": self.schema,
                    "until_latest": self.until_latest,
                    "decisions": self.decisions,
                    "kill": self.kill,
                    "steps": str(self.steps_file),
                }
            )
        )
        with (self.folder / f"{self.name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.crash.driver", str(path)], stderr=log, stdout=log
            )
        STARTED.append(process)
        return process

    def run(self, seconds_max: float = 120) -> int:
        """One life of the process; its exit code, negative for a signal."""
        process = self.start()
        try:
            return process.wait(seconds_max)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"did not end in {seconds_max} s:\n{self.log()}") from None

    def finish(self) -> None:
        """Run to the end of the log without being killed."""
        code = self.with_(kill=None, until_latest=True).run()
        assert code == 0, f"exit {code}:\n{self.log()}"

    def log(self) -> str:
        """The end of what the process said."""
        path = self.folder / f"{self.name}.log"
        return path.read_text() if path.exists() else ""

    @property
    def table(self) -> str:
        """Address of the data table."""
        return str(self.pipeline["sink"]["delta"]["table"])


def pipeline_dict(
    bootstrap: str, topic: str, table: str, storage: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A pipeline with small batches; `storage` as in the pipeline file."""
    return {
        "version": 1,
        "name": "crash",
        "source": {
            "kafka": {
                "bootstrap_servers": bootstrap,
                "topics": [topic],
                "group_id": f"group-{topic}",
                "properties": {"session.timeout.ms": "6000"},
            }
        },
        "schema": {"file": "given apart"},
        "sink": {
            "delta": {
                "table": table,
                "commit": {"every": "200ms", "max_records": 150, "max_bytes": "1MiB"},
                "storage": dict(storage or {}),
            }
        },
    }


def wait_until(
    condition: Callable[[], bool],
    what: str,
    seconds_max: float = 60,
    *,
    said: Callable[[], str] = str,
) -> None:
    """Poll a condition of the outside world; fails with `what` when it does not come true.

    `said` is asked only then: what the other side has said or stands at by that time.
    """
    deadline = time.monotonic() + seconds_max
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds_max} s\n{said()}"
        time.sleep(0.05)


def stop(process: subprocess.Popen[bytes]) -> int:
    """SIGTERM, and the exit code."""
    process.send_signal(signal.SIGTERM)
    return process.wait(60)


def topic_id(bootstrap: str, topic: str) -> str:
    """Kafka's own text form of the topic's id, asked by the test itself."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    described = admin.describe_topics(TopicCollection([topic]))
    return str(described[topic].result(30).topic_id)


def create_again(bootstrap: str, topic: str, partitions: int) -> None:
    """Delete the topic and create it anew; done when the broker shows the new one's id."""
    before = topic_id(bootstrap, topic)

    def is_another() -> bool:
        try:
            return topic_id(bootstrap, topic) != before
        except KafkaException:  # it may be away for a moment
            return False

    delete_topic(bootstrap, topic)
    create_topic(bootstrap, topic, partitions, {})
    wait_until(is_another, "no new topic")


def prove(job: Job, storage_options: Mapping[str, str], expected: Expected | None = None) -> None:
    """`verify` and the independent audit, after every fault: both must be clean."""
    sink = job.pipeline["sink"]["delta"]
    storage = StorageConfig.model_validate(sink["storage"])
    name = str(job.pipeline["name"])
    report = verify(Tables(name, job.table, f"{job.table}__dlq", storage, storage))
    assert report.clean, report.conclusion
    audit(AuditTables(name, job.table, f"{job.table}__dlq", storage_options), expected)


def merged(*produced: dict[At, dict[int, Sent | None]]) -> dict[At, dict[int, Sent | None]]:
    """Everything that several calls of `produce` sent."""
    together: dict[At, dict[int, Sent | None]] = {}
    for one in produced:
        for at, sent in one.items():
            together.setdefault(at, {}).update(sent)
    return together


def storage_dict(minio: Minio) -> dict[str, Any]:
    """The `storage` of a pipeline file for a MinIO."""
    return {
        "endpoint": minio.endpoint,
        "access_key_id": minio.access_key,
        "secret_access_key": minio.secret_key,
        "region": minio.region,
    }


def reached(*jobs: Job) -> int:
    """The sum of the offsets at which the partitions stand, as these processes said.

    A commit that landed though its answer was lost counts from the next one on, which begins
    behind it.
    """
    ends: dict[str, int] = {}
    for partition, upto in re.findall(
        r"'(\S+)': \(\d+, (\d+), ", "".join(job.log() for job in jobs)
    ):
        ends[partition] = max(ends.get(partition, 0), int(upto))
    return sum(ends.values())
