"""DuckDB's own Delta reader, which shares no code with the library that writes, as a witness."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import pytest
from confluent_kafka import Producer

from tests.crash.world import Job, pipeline_dict, prove, storage_dict
from tests.stack import Kafka, MakeTopic, Minio

pytestmark = pytest.mark.stack

FIELDS = [
    {"name": "id", "type": "long", "required": True},
    {"name": "amount", "type": "decimal(12,2)", "required": True},
    {"name": "created_at", "type": "timestamp", "required": True},
    {"name": "day", "type": "date"},
    {"name": "paid", "type": "boolean"},
    {"name": "weight", "type": "double"},
    {"name": "note", "type": "string"},
]
TYPES = {
    "id": "BIGINT",
    "amount": "DECIMAL(12,2)",
    "created_at": "TIMESTAMP WITH TIME ZONE",
    "created_at_date": "DATE",
    "day": "DATE",
    "paid": "BOOLEAN",
    "weight": "DOUBLE",
    "note": "VARCHAR",
    "_kafka_offset": "BIGINT",
    "_kafka_timestamp": "TIMESTAMP WITH TIME ZONE",
}
COUNT = 500
BROKEN_EVERY = 25


def event(number: int) -> bytes:
    """An order; every 25th is cut short."""
    order = {
        "id": number,
        "amount": f"{number}.10",
        "created_at": f"2026-11-{1 + number % 3:02}T10:00:00.{number:06}Z",
        "day": "2024-02-29",
        "paid": number % 2 == 0,
        "weight": number / 8,
        "note": f"ž\u0000{number}" if number % 10 else None,
        "unknown": number,
    }
    text = json.dumps(order).encode()
    return text[:-5] if number % BROKEN_EVERY == 0 else text


@pytest.fixture(params=["folder", "minio"])
def place(
    request: pytest.FixtureRequest, minio: Minio, bucket_url: str, tmp_path: Path
) -> tuple[str, dict[str, Any], dict[str, str]]:
    """Where the table goes: its address, the pipeline's `storage`, the audit's options."""
    if request.param == "folder":
        return str(tmp_path / "lake house" / "orders"), {}, {}
    return f"{bucket_url}/orders", storage_dict(minio), minio.storage_options


@pytest.fixture
def reader(minio: Minio) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB with its extensions from the wheels, so that nothing is downloaded."""
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        for name in ("httpfs", "delta"):
            connection.execute(f"LOAD '{_extension(name)}'")
        connection.execute(
            f"CREATE SECRET (TYPE s3, KEY_ID '{minio.access_key}', SECRET '{minio.secret_key}', "
            f"REGION '{minio.region}', ENDPOINT '{urlsplit(minio.endpoint).netloc}', "
            "URL_STYLE 'path', USE_SSL false)"
        )
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def _extension(name: str) -> Path:
    found = importlib.util.find_spec(f"duckdb_extension_{name}")
    assert found is not None
    assert found.origin is not None
    folder = Path(found.origin).parent / "extensions" / f"v{duckdb.__version__}"
    return folder / f"{name}.duckdb_extension"


def test_another_reader_sees_the_same_rows_types_and_dead_letters(
    place: tuple[str, dict[str, Any], dict[str, str]],
    reader: duckdb.DuckDBPyConnection,
    kafka: Kafka,
    topic: MakeTopic,
    tmp_path: Path,
) -> None:
    """The tables are for everybody's tools, not for ours."""
    table, storage, options = place
    name = topic(partitions=2)
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    for number in range(COUNT):
        producer.produce(name, event(number), b"%d" % number, partition=number % 2)
    assert producer.flush(30) == 0
    pipeline = pipeline_dict(kafka.bootstrap_servers, name, table, storage)
    pipeline["sink"]["delta"]["partition_by"] = ["date(created_at)"]
    job = Job(tmp_path, pipeline, schema={"version": 1, "name": "orders", "fields": FIELDS})
    job.finish()
    prove(job, options)
    reader.execute(f"CREATE VIEW orders AS FROM delta_scan('{table}')")
    reader.execute(f"CREATE VIEW dead AS FROM delta_scan('{table}__dlq')")
    _check_types(reader)
    _check_rows(reader, [number for number in range(COUNT) if number % BROKEN_EVERY])
    _check_dead_letters(reader, name)
    producer.produce(name, event(1)[:-1] + b', "coupon": "ten"}', b"new", partition=0)
    assert producer.flush(30) == 0
    wider = [*FIELDS, {"name": "coupon", "type": "string"}]
    job.with_(schema={"version": 1, "name": "orders", "fields": wider}).finish()
    prove(job, options)
    _check_added_column(reader, table, len([n for n in range(COUNT) if n % BROKEN_EVERY]))


def _check_added_column(reader: duckdb.DuckDBPyConnection, table: str, rows_before: int) -> None:
    """Files of before have no such column, and are read as null."""
    found = reader.sql(f"SELECT coupon, count(*) FROM delta_scan('{table}') GROUP BY 1").fetchall()
    assert set(found) == {(None, rows_before), ("ten", 1)}


def _check_types(reader: duckdb.DuckDBPyConnection) -> None:
    seen = dict(reader.sql("SELECT column_name, column_type FROM (DESCRIBE orders)").fetchall())
    assert TYPES.items() <= seen.items()


def _check_rows(reader: duckdb.DuckDBPyConnection, good: list[int]) -> None:
    totals = reader.sql(
        "SELECT count(*), count(DISTINCT (_kafka_topic_id, _kafka_partition, _kafka_offset)), "
        "sum(id), sum(amount), sum(weight), count(*) FILTER (paid), count(note), min(day), "
        "count(*) FILTER (created_at_date = created_at::DATE) FROM orders"
    ).fetchone()
    assert totals == (
        len(good),
        len(good),
        sum(good),
        sum((Decimal(f"{n}.10") for n in good), Decimal(0)),
        sum(n / 8 for n in good),
        sum(n % 2 == 0 for n in good),
        sum(n % 10 != 0 for n in good),
        date(2024, 2, 29),
        len(good),
    )
    found = reader.sql(
        "SELECT epoch_us(created_at), note, _rescued FROM orders WHERE id = 7"
    ).fetchone()
    assert found is not None
    seconds = int(datetime(2026, 11, 2, 10, tzinfo=UTC).timestamp())
    assert found[:2] == (seconds * 1_000_000 + 7, "ž\u00007")
    assert json.loads(found[2]) == {"unknown": 7}


def _check_dead_letters(reader: duckdb.DuckDBPyConnection, topic: str) -> None:
    found = reader.sql(
        'SELECT key, value, code, topic, partition, "offset" FROM dead ORDER BY key::VARCHAR::INT'
    ).fetchall()
    broken = range(0, COUNT, BROKEN_EVERY)
    assert [(row[0], row[1]) for row in found] == [(b"%d" % n, event(n)) for n in broken]
    assert {(row[2], row[3]) for row in found} == {("json.syntax", topic)}
    assert [(row[4], row[5]) for row in found] == [(n % 2, n // 2) for n in broken]
