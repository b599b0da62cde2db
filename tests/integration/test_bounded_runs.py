"""When a run with an end ends, on real Kafka; the tables are in a local folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import Producer

from tests.crash.world import Job, pipeline_dict, produce, prove
from tests.stack import Kafka, MakeTopic

pytestmark = pytest.mark.stack

NEVER = {"every": "600s", "max_records": 1_000_000, "max_bytes": "64MiB"}
"""Batches of ten minutes: longer than any of these runs may take."""


def test_the_last_batch_does_not_wait_for_its_age(
    kafka: Kafka, topic: MakeTopic, tmp_path: Path
) -> None:
    """Everything is there that was asked for: a script must not wait ten minutes for nothing."""
    name = topic(partitions=2)
    sent = produce(kafka.bootstrap_servers, name, 300)
    job = Job(
        tmp_path, pipeline_dict(kafka.bootstrap_servers, name, str(tmp_path / "orders"))
    ).with_(commit=NEVER)
    assert job.run() == 0, job.log()
    prove(job, {}, sent)


def test_a_run_that_cannot_get_to_its_end_says_what_is_in_the_way(
    kafka: Kafka, topic: MakeTopic, tmp_path: Path
) -> None:
    """For ever is no answer to a script; and what can be read must be in the table all the same."""
    name = topic(partitions=2, config={"max.message.bytes": "20000000"})
    sent = produce(kafka.bootstrap_servers, name, 300)
    large = Producer(
        {"bootstrap.servers": kafka.bootstrap_servers, "message.max.bytes": 20_000_000}
    )
    large.produce(name, bytes(6_000_000), partition=1)
    assert large.flush(30) == 0
    pipeline = pipeline_dict(kafka.bootstrap_servers, name, str(tmp_path / "orders"))
    pipeline["source"]["kafka"]["properties"] |= {
        "fetch.max.bytes": "1000000",
        "message.max.bytes": "1000000",
        "receive.message.max.bytes": "2000000",
    }
    job = Job(tmp_path, pipeline).with_(commit=NEVER)
    assert job.run() == 1
    said = job.log()
    assert "PartitionUnreadable" in said
    assert f"{name}[1]: offset 150 cannot be read" in said
    assert "receive.message.max.bytes" in said
    prove(job, {}, sent)
