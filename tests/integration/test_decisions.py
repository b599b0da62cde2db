"""When the world is not what the table remembers: stop with one sentence, go on by a decision."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions
from deltalake import DeltaTable

from tests.audit import At, audit
from tests.audit import Tables as AuditTables
from tests.crash.world import (
    Job,
    create_again,
    merged,
    pipeline_dict,
    produce,
    prove,
    storage_dict,
    topic_id,
    wait_until,
)
from tests.stack import Kafka, MakeTopic, Minio

pytestmark = pytest.mark.stack

MakeJob = Callable[..., Job]


@pytest.fixture
def job(kafka: Kafka, minio: Minio, bucket_url: str, tmp_path: Path) -> MakeJob:
    """A job on the tables of this test."""

    def make(topic: str, table: str = "orders", **kafka_settings: object) -> Job:
        pipeline = pipeline_dict(
            kafka.bootstrap_servers, topic, f"{bucket_url}/{table}", storage_dict(minio)
        )
        pipeline["source"]["kafka"].update(kafka_settings)
        return Job(tmp_path, pipeline)

    return make


def stops(one: Job, code: int, sentence: str) -> None:
    """The run ends by itself with the code, and says why and which way on."""
    assert one.run() == code, one.log()
    assert sentence in one.log()


def test_a_topic_that_was_created_again(
    kafka: Kafka, topic: MakeTopic, job: MakeJob, storage_options: dict[str, str]
) -> None:
    """Same name, other events: old offsets must never be applied to them."""
    name = topic(partitions=2)
    one = job(name)
    first = produce(kafka.bootstrap_servers, name, 300)
    one.finish()
    create_again(kafka.bootstrap_servers, name, 2)
    second = produce(kafka.bootstrap_servers, name, 100, seed=1)
    stops(one, 1, f"--accept-recreated {name}")
    one.with_(decisions={"accept_recreated": [name]}).finish()
    one.finish()
    prove(one, storage_options, merged(first, second))


def test_a_table_restored_to_an_older_version(
    kafka: Kafka, topic: MakeTopic, job: MakeJob, storage_options: dict[str, str]
) -> None:
    """RESTORE takes the rows back and not the offsets: what is between would be lost silently."""
    name = topic(partitions=2)
    one = job(name)
    first = produce(kafka.bootstrap_servers, name, 300)
    one.finish()
    table = DeltaTable(one.table, storage_options=storage_options)
    stood = table.version()
    second = produce(kafka.bootstrap_servers, name, 300, seed=1)
    one.finish()
    DeltaTable(one.table, storage_options=storage_options).restore(stood)
    stops(one, 1, "--accept-rewind")
    one.with_(decisions={"accept_rewind": True}).finish()
    one.finish()
    prove(one, storage_options, merged(first, second))


def test_offsets_that_retention_removed(
    kafka: Kafka, topic: MakeTopic, job: MakeJob, storage_options: dict[str, str]
) -> None:
    """A gap is named exactly, and counted as a hole only when a person accepts it."""
    name = topic(partitions=2)
    one = job(name)
    first = produce(kafka.bootstrap_servers, name, 200)
    one.finish()
    gone = produce(kafka.bootstrap_servers, name, 100, seed=1)
    later = produce(kafka.bootstrap_servers, name, 60, seed=2)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    for future in admin.delete_records([TopicPartition(name, 0, 150)]).values():
        future.result(30)
    stops(one, 1, "--accept-gap")
    assert "50 offsets are gone" in one.log()
    one.with_(decisions={"accept_gap": True}).finish()
    one.finish()
    at = At(topic_id(kafka.bootstrap_servers, name), 0)
    expected = merged(first, gone, later)
    for offset in range(100, 150):
        del expected[at][offset]
    prove(one, storage_options, expected)


def test_a_table_that_was_replaced(
    kafka: Kafka, topic: MakeTopic, job: MakeJob, storage_options: dict[str, str]
) -> None:
    """The group has read the topic but the table knows nothing: a wrong address, most likely."""
    name = topic(partitions=2)
    sent = produce(kafka.bootstrap_servers, name, 200)
    job(name).finish()
    moved = job(name, table="elsewhere")
    stops(moved, 1, "--reset")
    moved.with_(decisions={"reset": True}).finish()
    prove(moved, storage_options, sent)


def test_a_table_of_another_pipeline(kafka: Kafka, topic: MakeTopic, job: MakeJob) -> None:
    """Two pipelines on one table would each undo what the other proves; refused before a write."""
    name = topic(partitions=1)
    one = job(name)
    produce(kafka.bootstrap_servers, name, 50, partitions=1)
    one.finish()
    other = one.with_(pipeline={**one.pipeline, "name": "other"})
    stops(other, 2, "belongs to the pipeline 'crash'")


def test_a_log_that_ends_below_the_table(
    kafka: Kafka, topic: MakeTopic, job: MakeJob, storage_options: dict[str, str]
) -> None:
    """Without topic ids a shorter log under the same name looks as a truncation does."""
    name = topic(partitions=1)
    one = job(name, topic_identity="name")
    produce(kafka.bootstrap_servers, name, 100, partitions=1)
    one.finish()
    create_again(kafka.bootstrap_servers, name, 1)
    produce(kafka.bootstrap_servers, name, 10, partitions=1)
    stops(one, 1, "below the table's offset 100")
    audit(AuditTables("crash", one.table, f"{one.table}__dlq", storage_options))


def test_a_second_topic_is_added_and_a_partition_appears(
    kafka: Kafka, topic: MakeTopic, job: MakeJob, storage_options: dict[str, str]
) -> None:
    """What is new starts at its beginning; what is known goes on; one table holds both topics."""
    first, second = topic(partitions=1), topic(partitions=1)
    sent = [produce(kafka.bootstrap_servers, first, 100, partitions=1)]
    one = job(first)
    one.finish()
    sent.append(produce(kafka.bootstrap_servers, second, 100, partitions=1, seed=1))
    both = one.with_(pipeline=job(first, topics=[first, second]).pipeline)
    both.finish()
    _grow(kafka, first, 3)
    sent.append(produce(kafka.bootstrap_servers, first, 90, partitions=3, seed=2))
    both.finish()
    prove(both, storage_options, merged(*sent))


def _grow(kafka: Kafka, topic: str, partitions: int) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    admin.create_partitions([NewPartitions(topic, partitions)])[topic].result(30)
    wait_until(
        lambda: len(admin.list_topics(topic, timeout=10).topics[topic].partitions) == partitions,
        "the partitions did not appear",
    )
