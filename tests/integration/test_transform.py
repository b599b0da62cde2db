"""A transform on real Kafka and MinIO: what reaches the table, what is counted, what is dead."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from deltalake import DeltaTable

from tests.audit import At, Sent, audit
from tests.crash.world import topic_id
from tests.integration.test_round_trip import PARTITIONS, Stream
from tests.stack import Kafka, MakeTopic, Minio

pytestmark = pytest.mark.stack

KEY = "a key of the test, long enough\n"
SCHEMA = """\
version: 1
name: orders
fields:
  - {name: id, type: long, required: true}
  - {name: amount, type: "decimal(12,2)", required: true}
  - {name: pieces, type: string}
  - {name: customer, type: string}
  - {name: at, type: timestamp, required: true}
"""
TRANSFORM = """\
transform:
  - filter: amount >= 0
  - derive:
      each: CAST(amount / CAST(pieces AS INTEGER) AS DECIMAL(14,4))
      day: CAST("at" AS DATE)
  - python: hooks:shout
  - mask: {customer: sha256}
    key: "${file:key}"
  - drop: [pieces]
"""
HOOKS = """\
import pyarrow as pa
import pyarrow.compute as pc

def shout(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.append_column("loud", pc.utf8_upper(batch.column("customer")))
"""
COUNT = 1200


def event(n: int) -> bytes:
    """One in 7 is filtered; one in 11 of the others has pieces that are no number, or none."""
    amount = f"{'-' if n % 7 == 0 else ''}{n + 1}.50"
    pieces = ("many", "0")[n % 2] if n % 11 == 0 else str(n % 5 + 1)
    at = f"2026-03-{n % 3 + 1:02d}T12:00:00Z"
    return json.dumps(
        {"id": n, "amount": amount, "pieces": pieces, "customer": f"c{n % 10}", "at": at}
    ).encode()


def send(servers: str, topic: str) -> dict[At, dict[int, Sent | None]]:
    landed: dict[At, dict[int, Sent | None]] = {}
    identity = topic_id(servers, topic)

    def delivered(error: Any, message: Any) -> None:
        assert error is None, error
        at = At(identity, message.partition())
        landed.setdefault(at, {})[message.offset()] = Sent(message.key(), message.value())

    producer = Producer({"bootstrap.servers": servers})
    for n in range(COUNT):
        producer.produce(topic, event(n), b"k", partition=n % PARTITIONS, on_delivery=delivered)
    assert producer.flush(30) == 0
    return landed


def fate(n: int) -> str:
    return "filtered" if n % 7 == 0 else "dead" if n % 11 == 0 else "row"


def row(n: int) -> dict[str, Any]:
    """What the table must hold of an event, in plain Python."""
    customer = f"c{n % 10}"
    digest = hmac.new(KEY.strip().encode(), customer.encode(), hashlib.sha256).hexdigest()
    amount = Decimal(n + 1) + Decimal("0.50")
    each = (amount / (n % 5 + 1)).quantize(Decimal("0.0001"))
    return {
        "id": n, "amount": amount, "each": each, "day": date(2026, 3, n % 3 + 1),
        "customer": digest, "loud": customer.upper(),
    }  # fmt: skip  # one value


def made(stream: Stream) -> Stream:
    stream.schema(SCHEMA)
    (stream.folder / "key").write_text(KEY)
    (stream.folder / "hooks.py").write_text(HOOKS)
    path = stream.folder / "pipeline.yaml"
    text = path.read_text().replace("[date(created_at)]", "[day]")
    text = text.replace("{every: 200ms}", "{every: 200ms, max_records: 100}")
    path.write_text(text + TRANSFORM)
    return stream


def settled(done: subprocess.CompletedProcess[str], code: int = 0) -> Any:
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def assert_accounted(stream: Stream, landed: dict[At, dict[int, Sent | None]]) -> None:
    """By `verify`, and by the audit that shares no code with it."""
    settled(stream.typed("verify", "pipeline.yaml"))
    kept = {
        at: {offset: sent for offset, sent in events.items() if not _is_filtered(sent)}
        for at, events in landed.items()
    }
    accounts = audit(stream.tables, kept)
    filtered = {at: len(events) - len(kept[at]) for at, events in landed.items()}
    assert {at: account.skipped for at, account in accounts.items()} == filtered


def _is_filtered(sent: Sent | None) -> bool:
    assert sent is not None
    assert sent.value is not None
    return fate(json.loads(sent.value)["id"]) == "filtered"


def assert_told(stream: Stream) -> None:
    """The commits say by which steps and by which source their rows were made."""
    table = DeltaTable(stream.tables.data, storage_options=dict(stream.tables.storage))
    assert table.metadata().partition_columns == ["day"]
    notes = [json.loads(each["stream_processor"]) for each in table.history() if
             "stream_processor" in each]  # fmt: skip  # one value
    batches = [note for note in notes if note.get("kind") == "batch" and "transform" in note]
    assert len(batches) > 3
    source = hashlib.sha256(HOOKS.encode()).hexdigest()
    assert {note["python hooks:shout"] for note in batches} == {source}


def test_filter_derive_function_and_mask_on_the_real_stack(
    kafka: Kafka, minio: Minio, topic: MakeTopic, bucket_url: str, tmp_path: Path
) -> None:
    """Each event is a row as plain Python computes it, a dead letter, or counted as filtered."""
    name = topic(partitions=PARTITIONS)
    stream = made(Stream(tmp_path, "orders", kafka.bootstrap_servers, name).at(bucket_url, minio))
    landed = send(kafka.bootstrap_servers, name)

    sample = settled(stream.typed("check", "pipeline.yaml", "--sample", str(COUNT), "--json"))
    foretold = json.loads(sample)["files"][0]["sample"]
    settled(stream.typed("run", "pipeline.yaml", "--until", "latest"))
    expected = [row(n) for n in range(COUNT) if fate(n) == "row"]
    rows = sorted(stream.read(stream.tables.data), key=lambda each: each["id"])
    assert [{name: each[name] for name in expected[0]} for each in rows] == expected
    assert "pieces" not in rows[0]
    letters = stream.read(stream.tables.dead)
    assert {letter["code"] for letter in letters} == {"transform.failed"}
    dead = sorted(json.loads(letter["value"])["id"] for letter in letters)
    assert dead == [n for n in range(COUNT) if fate(n) == "dead"]
    assert "c1" not in json.dumps([letter["message"] for letter in letters])
    assert_accounted(stream, landed)
    assert (foretold["rows"], foretold["dead_letters"]) == (len(expected), len(dead))
    assert_told(stream)

    # A mended expression: replay runs the same steps, and what it cannot mend stays a letter.
    path = stream.folder / "pipeline.yaml"
    path.write_text(path.read_text().replace("CAST(pieces AS", "TRY_CAST(pieces AS"))
    settled(stream.typed("dlq", "replay", "--yes", "--pipeline", "pipeline.yaml"), 1)
    rows = stream.read(stream.tables.data)
    mended = [n for n in range(COUNT) if fate(n) == "dead" and n % 2 == 0]
    assert sorted(each["id"] for each in rows if each["each"] is None) == mended
    assert_accounted(stream, landed)
