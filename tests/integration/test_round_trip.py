"""Break a schema, mend it, replay, on real Kafka and MinIO, while the stream goes on."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from deltalake import DeltaTable

from stream_processor.sources.kafka_admin import end_offsets
from tests import round_trip
from tests.audit import Tables, audit
from tests.crash.world import STARTED, stop, wait_until
from tests.integration.test_cli import PROGRAM, environment
from tests.stack import Kafka, MakeTopic, Minio

pytestmark = pytest.mark.stack

PARTITIONS = 3


class Stream:
    """One pipeline on the topic, with a schema file of its own."""

    def __init__(self, folder: Path, name: str, servers: str, topic: str) -> None:
        self.folder, self.name = folder / name, name
        self.servers, self.topic = servers, topic
        self.folder.mkdir()

    def at(self, bucket: str, minio: Minio) -> Stream:
        """Write the pipeline file; its tables are in the bucket."""
        self.tables = Tables(
            self.name, f"{bucket}/{self.name}", f"{bucket}/{self.name}__dlq", minio.storage_options
        )
        (self.folder / "pipeline.yaml").write_text(
            f"version: 1\nname: {self.name}\nsource:\n  kafka:\n"
            f"    bootstrap_servers: {self.servers}\n    topics: [{self.topic}]\n"
            "    properties: {session.timeout.ms: 6000}\nschema: {file: schema.yaml}\n"
            f"sink:\n  delta:\n    table: {self.tables.data}\n    commit: {{every: 200ms}}\n"
            "    partition_by: [date(created_at)]\n    storage:\n"
            f"      endpoint: {minio.endpoint}\n"
            f"      access_key_id: {minio.access_key}\n      region: {minio.region}\n"
            f"      secret_access_key: {minio.secret_key}\n"
        )
        return self

    def schema(self, text: str) -> None:
        (self.folder / "schema.yaml").write_text(text)

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

    def read(self, uri: str) -> list[dict[str, Any]]:
        table = DeltaTable(uri, storage_options=dict(self.tables.storage)).to_pyarrow_table()
        return list(table.to_pylist())

    def reached(self) -> int:
        """How many offsets are rows or dead letters."""
        data = {(r["_kafka_partition"], r["_kafka_offset"]) for r in self.read(self.tables.data)}
        dead = {(r["partition"], r["offset"]) for r in self.read(self.tables.dead)}
        return len(data | dead)


def send(servers: str, topic: str, values: Sequence[bytes | None]) -> None:
    producer = Producer({"bootstrap.servers": servers})
    for index, value in enumerate(values):
        producer.produce(topic, value, b"k", partition=index % PARTITIONS)
    assert producer.flush(30) == 0


def every_fault() -> str:
    """All broken versions of the schema in one: most of the stream is dead letters."""
    text = round_trip.ORDERS
    for right, broken in (
        ("[EUR, USD, GBP]", "[EUR]"),
        ("[rfc3339, epoch_ms]", "[rfc3339]"),
        ("[trim, lower]", "[trim]"),
        ("minimum: 1\n", "minimum: 5\n"),
    ):
        text = text.replace(right, broken)
    return text


def identities(rows: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
    return {(row["topic_id"], row["partition"], row["offset"]) for row in rows}


def assert_same_tables(mended: Stream, right: Stream) -> None:
    """The same rows; and what was not replayed is what a right schema rejects too."""
    rows = [round_trip.comparable(each.read(each.tables.data)) for each in (mended, right)]
    assert rows[0] == rows[1]
    ledger = mended.read(f"{mended.tables.dead}_actions")
    done = identities([row for row in ledger if row["action"] == "replayed"])
    assert len(done) > 500
    open_now = identities(mended.read(mended.tables.dead)) - done
    assert open_now == identities(right.read(right.tables.dead))


def test_a_mended_schema_gives_the_table_of_a_right_one(
    kafka: Kafka, minio: Minio, topic: MakeTopic, bucket_url: str, tmp_path: Path
) -> None:
    """Replayed while the stream runs by the mended schema: as if it had never been broken."""
    name, servers = topic(partitions=PARTITIONS), kafka.bootstrap_servers
    streams = [Stream(tmp_path, each, servers, name) for each in ("right", "mended")]
    right, mended = (each.at(bucket_url, minio) for each in streams)
    right.schema(round_trip.ORDERS)
    mended.schema(every_fault())
    send(servers, name, round_trip.invented(2000))
    ran = mended.typed("run", "pipeline.yaml", "--until", "latest")
    assert ran.returncode == 0, ran.stderr
    open_before = len(mended.read(mended.tables.dead))
    assert open_before > 1000

    mended.schema(round_trip.ORDERS)
    running = mended.started("run", "pipeline.yaml")
    send(servers, name, round_trip.invented(1000, seed=6))
    replayed = mended.typed("dlq", "replay", "--yes", "--pipeline", "pipeline.yaml")
    assert replayed.returncode == 1, replayed.stdout + replayed.stderr  # some no schema takes
    end = sum(end_offsets(servers, name).values())
    wait_until(lambda: mended.reached() == end, "the stream did not go on", 60)
    assert stop(running) == 0

    ran = right.typed("run", "pipeline.yaml", "--until", "latest")
    assert ran.returncode == 0, ran.stderr
    assert_same_tables(mended, right)
    for each in (mended, right):
        proof = each.typed("verify", "pipeline.yaml", "--connect")
        assert proof.returncode == 0, proof.stdout
        assert " 0 lost, 0 double" in proof.stdout
        audit(each.tables, {})
