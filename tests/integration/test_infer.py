"""`infer` on a real topic: nobody notices it, and the draft takes what it saw."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from deltalake import DeltaTable

from tests.crash.world import Job, pipeline_dict, prove
from tests.stack import Kafka, MakeTopic

pytestmark = pytest.mark.stack


def test_a_topic_to_a_table_by_its_draft(kafka: Kafka, topic: MakeTopic, tmp_path: Path) -> None:
    """From nothing but a topic to a table of rows, without a schema written by hand."""
    name = topic(partitions=2)
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    for n in range(100):
        event = {"id": n, "amount": n + 0.5, "at": f"2026-11-24T10:00:{n % 60:02}Z"}
        producer.produce(name, json.dumps(event).encode(), partition=n % 2)
    producer.produce(name, b"{broken", partition=0)
    assert producer.flush(30) == 0
    address = f"kafka://{kafka.bootstrap_servers}/{name}"
    done = subprocess.run(
        [sys.executable, "-m", "stream_processor.main", "infer", address, "--json"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    report = json.loads(done.stdout)
    assert (report["records"], report["undecodable"], report["rows"]) == (101, 1, 100)
    assert [(each["field"], each["type"]) for each in report["fields"]] == [
        ("id", "long"),
        ("amount", "decimal(12,1)"),
        ("at", "timestamp"),
    ]
    groups = AdminClient({"bootstrap.servers": kafka.bootstrap_servers}).list_consumer_groups()
    assert not [each for each in groups.result(30).valid if name in each.group_id]
    fields = [
        {"name": each["field"], "type": each["type"], "required": True} for each in report["fields"]
    ]
    table = str(tmp_path / "lake" / "orders")
    pipeline = pipeline_dict(kafka.bootstrap_servers, name, table)
    job = Job(tmp_path, pipeline, schema={"version": 1, "name": "drafted", "fields": fields})
    job.finish()
    prove(job, {})
    assert DeltaTable(table).to_pyarrow_table().num_rows == 100
