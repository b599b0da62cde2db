"""Outages, lost answers and late writes, on real Kafka and MinIO; after each, both proofs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stream_processor.operations.local_stack import RunningKafka, RunningMinio
from stream_processor.sources.kafka_admin import create_topic
from tests.audit import Tables, audit
from tests.crash.world import (
    IMPATIENT,
    Job,
    merged,
    pipeline_dict,
    produce,
    prove,
    reached,
    stop,
    storage_dict,
    wait_until,
)
from tests.faults.s3_proxy import ANY, S3FaultProxy
from tests.stack import Kafka, MakeTopic, Minio, minio_of

pytestmark = pytest.mark.stack

COMMIT = r"/orders(__dlq)?/_delta_log/[0-9]+\.json"


@pytest.fixture
def job(
    kafka: Kafka, minio: Minio, topic: MakeTopic, bucket_url: str, tmp_path: Path
) -> Callable[[str], tuple[Job, str]]:
    """A job on a topic of two partitions, whose store is reached at the given endpoint."""

    def make(endpoint: str) -> tuple[Job, str]:
        name = topic(partitions=2)
        storage = {**storage_dict(minio), "endpoint": endpoint, "options": IMPATIENT}
        pipeline = pipeline_dict(kafka.bootstrap_servers, name, f"{bucket_url}/orders", storage)
        return Job(tmp_path, pipeline), name

    return make


@pytest.mark.parametrize(
    "mode", ["503-before", "503-after", "reset-after", "hang-after", "late", "507", "403"]
)
def test_a_commit_whose_answer_is_lost_is_neither_lost_nor_doubled(
    mode: str,
    job: Callable[[str], tuple[Job, str]],
    kafka: Kafka,
    minio: Minio,
    storage_options: dict[str, str],
) -> None:
    """After an exception in a commit its outcome is unknown, so only the table may decide."""
    with S3FaultProxy(minio.endpoint) as proxy:
        one, name = job(proxy.endpoint)
        sent = produce(kafka.bootstrap_servers, name, 1200)
        # The first commits create and claim the tables; later ones carry rows and dead letters.
        faults = [
            proxy.inject(mode, key=COMMIT, method="PUT", after=after, times=2)
            for after in (1, 7, 11)
        ]
        code = one.run()
        for fault in faults:
            fault.release()
        assert code == 0, one.log()
        assert any(fault.hits for fault in faults), "no commit met the fault"
        prove(one, storage_options, sent)


def test_the_store_dies_in_mid_commit_and_comes_back(
    kafka: Kafka, topic: MakeTopic, tmp_path: Path, own_minio: Callable[..., RunningMinio]
) -> None:
    """An outage pauses the stream; it never makes dead letters and never moves offsets."""
    store = own_minio()
    bucket = minio_of(store).create_bucket()
    name = topic(partitions=2)
    one = Job(
        tmp_path,
        pipeline_dict(
            kafka.bootstrap_servers,
            name,
            f"s3://{bucket}/orders",
            {**storage_dict(minio_of(store)), "options": {"timeout": "3s", "retry_timeout": "5s"}},
        ),
        until_latest=False,
    )
    first = produce(kafka.bootstrap_servers, name, 600)
    process = one.start()
    wait_until(lambda: reached(one) > 0, "no batch was settled")
    store.kill()
    second = produce(kafka.bootstrap_servers, name, 900, seed=1)
    wait_until(lambda: "paused" in one.log(), "the outage was not noticed")
    store = own_minio(data_dir=store.data_dir, port=store.port)
    third = produce(kafka.bootstrap_servers, name, 300, seed=2)
    # Every event settles by itself once the store is back; then the process is stopped cleanly.
    wait_until(lambda: reached(one) >= 1800, "it did not resume", 90)
    assert stop(process) == 0, one.log()
    prove(one, minio_of(store).storage_options, merged(first, second, third))


def test_an_outage_of_the_dead_letter_table_alone_holds_the_data_back(
    job: Callable[[str], tuple[Job, str]],
    kafka: Kafka,
    minio: Minio,
    storage_options: dict[str, str],
) -> None:
    """Evidence first: rows whose neighbours could not be kept as dead letters must not move on."""
    with S3FaultProxy(minio.endpoint) as proxy:
        one, name = job(proxy.endpoint)
        one = one.with_(until_latest=False)
        first = produce(kafka.bootstrap_servers, name, 600)
        process = one.start()
        wait_until(lambda: reached(one) >= 600, "the first events were not settled", said=one.log)
        outage = proxy.inject("503-before", key=r"/orders__dlq/", method="", times=ANY)
        second = produce(kafka.bootstrap_servers, name, 600, seed=1)
        wait_until(lambda: "paused" in one.log(), "the outage was not noticed", said=one.log)
        assert outage.hits
        assert reached(one) == 600, "the data table moved on without its evidence"
        audit(Tables("crash", one.table, f"{one.table}__dlq", storage_options), first)
        proxy.clear()
        wait_until(lambda: reached(one) >= 1200, "it did not resume", 90, said=one.log)
        assert stop(process) == 0, one.log()
        prove(one, storage_options, merged(first, second))


def test_kafka_dies_and_comes_back(
    minio: Minio,
    bucket_url: str,
    storage_options: dict[str, str],
    tmp_path: Path,
    own_kafka: Callable[..., RunningKafka],
) -> None:
    """The same for the broker: nothing is lost, nothing twice, no person is needed."""
    broker = own_kafka()
    create_topic(broker.bootstrap_servers, "orders", 2, {})
    one = Job(
        tmp_path,
        pipeline_dict(
            broker.bootstrap_servers, "orders", f"{bucket_url}/orders", storage_dict(minio)
        ),
        until_latest=False,
    )
    first = produce(broker.bootstrap_servers, "orders", 600)
    process = one.start()
    wait_until(lambda: reached(one) >= 600, "the first events were not settled")
    broker.kill()
    broker = own_kafka(data_dir=broker.data_dir, port=broker.port)
    second = produce(broker.bootstrap_servers, "orders", 600, seed=1)
    wait_until(lambda: reached(one) >= 1200, "it did not resume", 90)
    assert stop(process) == 0, one.log()
    prove(one, storage_options, merged(first, second))
