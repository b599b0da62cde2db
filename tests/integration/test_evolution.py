"""A schema file and a table that change under running processes, on real Kafka and MinIO."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from confluent_kafka import Producer
from deltalake import CommitProperties, DeltaTable, Field, write_deltalake
from deltalake.schema import PrimitiveType

from stream_processor.config.pipeline import StorageConfig
from stream_processor.operations.snapshots import Tables
from stream_processor.operations.status import status
from stream_processor.runtime.object_store import open_store
from tests.crash.world import (
    OLD_SCHEMA,
    STARTED,
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
from tests.stack import Kafka, MakeTopic, Minio

pytestmark = pytest.mark.stack

COUPON_SCHEMA = {
    **OLD_SCHEMA,
    "fields": [*OLD_SCHEMA["fields"], {"name": "coupon", "type": "string"}],  # type: ignore[misc]  # a list in a plain dict
}
RETYPED_SCHEMA = {
    **OLD_SCHEMA,
    "fields": [{"name": "id", "type": "decimal(20,0)"}, *OLD_SCHEMA["fields"][1:]],  # type: ignore[index]  # a list in a plain dict
}


@pytest.fixture
def member(kafka: Kafka, minio: Minio, bucket_url: str, tmp_path: Path) -> Callable[..., Job]:
    """A process of the group of one topic; each has a name of its own."""

    def make(topic: str, name: str) -> Job:
        table = f"{bucket_url}/orders"
        pipeline = pipeline_dict(kafka.bootstrap_servers, topic, table, storage_dict(minio))
        return Job(tmp_path, pipeline, name=name, until_latest=False)

    return make


def sent_with_coupons(kafka: Kafka, topic: str, count: int) -> None:
    """Events that name the new field, to both partitions."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    for n in range(count):
        event = {"id": n, "amount": "7", "coupon": "ten"}
        producer.produce(topic, json.dumps(event).encode(), partition=n % 2)
    assert producer.flush(30) == 0


def coupons(table: DeltaTable) -> dict[str | None, int]:
    found = table.to_pyarrow_table(columns=["coupon"])["coupon"].to_pylist()
    return {value: found.count(value) for value in set(found)}


def test_a_new_field_while_another_process_still_has_the_old_file(
    kafka: Kafka, topic: MakeTopic, member: Callable[..., Job], storage_options: dict[str, str]
) -> None:
    """A rolling upgrade: the new process adds the column, the old one claims again and goes on."""
    name = topic(partitions=2)
    produce(kafka.bootstrap_servers, name, 300)
    old = member(name, "old")
    running = old.start()
    wait_until(lambda: reached(old) == 300, "the old process read nothing", said=old.log)
    new = member(name, "new").with_(schema=COUPON_SCHEMA)
    joined = new.start()
    wait_until(lambda: "claimed" in new.log(), "the new process claimed nothing", said=new.log)
    sent_with_coupons(kafka, name, 200)
    wait_until(lambda: reached(old, new) == 500, "not all was read", said=old.log)
    assert stop(running) == 0, old.log()
    assert stop(joined) == 0, new.log()
    table = DeltaTable(new.table, storage_options=storage_options)
    seen = coupons(table)
    assert seen["ten"] == 100  # the partition of the new process; the other's are in `_rescued`
    rescued = table.to_pyarrow_table(columns=["_rescued"])["_rescued"].to_pylist()
    assert rescued.count('{"coupon":"ten"}') == 100
    prove(new, storage_options)
    old.with_(until_latest=True).finish()
    prove(new, storage_options)


def test_somebody_changes_the_table_of_a_running_process(
    kafka: Kafka, topic: MakeTopic, member: Callable[..., Job], storage_options: dict[str, str]
) -> None:
    """A column more is followed; a column of another type stops it, and costs no event."""
    name = topic(partitions=2)
    produce(kafka.bootstrap_servers, name, 200)
    job = member(name, "one")
    running = job.start()
    wait_until(lambda: reached(job) == 200, "it read nothing", said=job.log)
    table = DeltaTable(job.table, storage_options=storage_options)
    table.alter.add_columns([Field("region", PrimitiveType("string"))])
    produce(kafka.bootstrap_servers, name, 200, seed=1)
    wait_until(lambda: reached(job) == 400, "it did not follow", said=job.log)
    dead = DeltaTable(f"{job.table}__dlq", storage_options=storage_options)
    version, letters = dead.version(), dead.to_pyarrow_table().num_rows
    rows = DeltaTable(job.table, storage_options=storage_options).to_pyarrow_table()
    rows = rows.set_column(0, "id", rows["id"].cast(pa.string()))
    write_deltalake(
        job.table,
        rows,
        mode="overwrite",
        schema_mode="overwrite",
        storage_options=storage_options,
        commit_properties=CommitProperties(custom_metadata={"by": "somebody"}),
    )
    wait_for_good = json.dumps({"id": 1, "amount": "7"}).encode()
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    producer.produce(name, wait_for_good, partition=0)
    assert producer.flush(30) == 0
    assert running.wait(60) == 2, job.log()
    STARTED.remove(running)
    assert "has the column 'id' as string, the schema file as long" in job.log()
    after = DeltaTable(f"{job.table}__dlq", storage_options=storage_options)
    assert after.to_pyarrow_table().num_rows == letters
    assert after.version() == version


def test_another_type_in_the_file_is_refused_before_anything_is_written(
    kafka: Kafka, topic: MakeTopic, member: Callable[..., Job], storage_options: dict[str, str]
) -> None:
    """Delta cannot widen a column: the start says so, and names the field that can be added."""
    name = topic(partitions=2)
    produce(kafka.bootstrap_servers, name, 100)
    job = member(name, "one").with_(until_latest=True)
    job.finish()
    version = DeltaTable(job.table, storage_options=storage_options).version()
    retyped = job.with_(schema=RETYPED_SCHEMA)
    assert retyped.run() == 2
    assert "has the column 'id' as long, the schema file as decimal(20,0)" in job.log()
    assert DeltaTable(job.table, storage_options=storage_options).version() == version
    job.finish()
    prove(job, storage_options)


def test_rules_of_somebodys_table_cost_single_rows(
    kafka: Kafka, topic: MakeTopic, member: Callable[..., Job], storage_options: dict[str, str]
) -> None:
    """A CHECK and a NOT NULL, the one there from the beginning, the other added while it runs."""
    name = topic(partitions=2)
    job = member(name, "one")
    produce(kafka.bootstrap_servers, name, 300)
    running = job.start()
    wait_until(lambda: reached(job) == 300, "it read nothing", said=job.log)
    table = DeltaTable(job.table, storage_options=storage_options)
    letters = DeltaTable(f"{job.table}__dlq", storage_options=storage_options)
    before = letters.to_pyarrow_table().num_rows
    table.alter.add_constraint({"small": "id < 1000"})
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    for n in range(100):
        event = {"id": 5000 if n % 10 == 0 else n, "amount": "7"}
        producer.produce(name, json.dumps(event).encode(), partition=n % 2)
    assert producer.flush(30) == 0
    wait_until(lambda: reached(job) == 400, "it did not go on", said=job.log)
    assert stop(running) == 0, job.log()
    letters.update_incremental()
    found = letters.to_pyarrow_table()
    assert found.num_rows == before + 10
    broken = [row for row in found.to_pylist() if row["code"] == "write.constraint"]
    assert {(row["stage"], row["expected"]) for row in broken} == {("write", "id < 1000")}
    assert len(broken) == 10
    prove(job, storage_options)


def test_a_column_that_must_not_be_null(
    kafka: Kafka, topic: MakeTopic, member: Callable[..., Job], storage_options: dict[str, str]
) -> None:
    """A table that somebody made before us is adopted with its rule, and the rule kept."""
    name = topic(partitions=1)
    job = member(name, "one").with_(until_latest=True, decisions={"adopt": True})
    schema = pa.schema([pa.field("id", pa.int64()), pa.field("note", pa.string(), nullable=False)])
    DeltaTable.create(job.table, schema=schema, storage_options=storage_options)
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    for n in range(20):
        event = {"id": n, "amount": "7", "note": None if n % 4 == 0 else "x"}
        producer.produce(name, json.dumps(event).encode(), partition=0)
    assert producer.flush(30) == 0
    assert job.run() == 0, job.log()
    letters = DeltaTable(f"{job.table}__dlq", storage_options=storage_options).to_pyarrow_table()
    assert set(
        zip(letters["code"].to_pylist(), letters["field_path"].to_pylist(), strict=True)
    ) == {("write.constraint", "note")}
    assert letters.num_rows == 5
    prove(job, storage_options)


def test_an_engine_that_writes_over_a_commit_stops_the_process_and_costs_nothing(
    kafka: Kafka,
    minio: Minio,
    topic: MakeTopic,
    member: Callable[..., Job],
    storage_options: dict[str, str],
) -> None:
    """Spark's log store for S3 can: going on with the held handle would leave a gap for ever."""
    name = topic(partitions=2)
    sent = produce(kafka.bootstrap_servers, name, 200)
    job = member(name, "one")
    running = job.start()
    wait_until(lambda: reached(job) == 200, "it read nothing", said=job.log)
    version = DeltaTable(job.table, storage_options=storage_options).version()
    storage = StorageConfig.model_validate(storage_dict(minio))
    store = open_store(job.table, storage)
    key = f"_delta_log/{version:020}.json"
    store.delete(key)
    info = {"timestamp": int(time.time() * 1000), "operation": "WRITE", "engineInfo": "Spark/3.5"}
    assert store.put_if_absent(key, json.dumps({"commitInfo": info}).encode())
    more = produce(kafka.bootstrap_servers, name, 100, seed=1)
    assert running.wait(60) == 1, job.log()
    STARTED.remove(running)
    assert f"commit overwritten by Spark/3.5: version {version} of" in job.log()
    job.with_(until_latest=True).finish()
    prove(job, storage_options, merged(sent, more))
    tables = Tables("crash", job.table, f"{job.table}__dlq", storage, storage)
    assert status(tables).foreign_writers == ("Spark/3.5 (WRITE)",)
