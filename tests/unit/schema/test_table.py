"""The columns of the data table follow from the schema and the pipeline's options."""

from __future__ import annotations

import pyarrow as pa
import pytest

from stream_processor.schema import records
from stream_processor.schema.table import (
    date_sources,
    partition_columns,
    partition_problems,
    table_schema,
)
from tests.builders import event_schema

SCHEMA = event_schema(
    [
        {"name": "id", "type": "long", "required": True, "description": "Order number"},
        {"name": "at", "type": "timestamp"},
        {"name": "day", "type": "date"},
        {"name": "price", "type": "decimal(12,2)"},
        {"name": "day_date", "type": "string"},
    ]
)


def test_columns_come_in_the_documented_order_and_types() -> None:
    """Readers of the table rely on both."""
    table = table_schema(SCHEMA, ("key", "headers"), "rescue", ("day", "date(at)"))
    assert [(field.name, field.type) for field in table] == [
        ("id", pa.int64()),
        ("at", pa.timestamp("us", tz="UTC")),
        ("day", pa.date32()),
        ("price", pa.decimal128(12, 2)),
        ("day_date", pa.string()),
        ("_kafka_topic", pa.string()),
        ("_kafka_topic_id", pa.string()),
        ("_kafka_partition", pa.int32()),
        ("_kafka_offset", pa.int64()),
        ("_kafka_timestamp", pa.timestamp("us", tz="UTC")),
        ("_kafka_key", pa.binary()),
        ("_kafka_headers", records.HEADERS),
        ("_ingested_at", pa.timestamp("us", tz="UTC")),
        ("_rescued", pa.string()),
        ("at_date", pa.date32()),
    ]


def test_every_column_may_be_null_and_descriptions_become_comments() -> None:
    """`required` is the kernel's rule; a table that enforced it could not take old rows."""
    table = table_schema(SCHEMA)
    assert all(field.nullable for field in table)
    assert table.field("id").metadata == {b"comment": b"Order number"}
    assert table.field("at").metadata is None


@pytest.mark.parametrize("unknown", ["drop", "reject"])
def test_rescued_exists_only_where_something_can_be_rescued(unknown: str) -> None:
    """A column that is always null is noise; a missing one would lose data."""
    soft = event_schema([{"name": "a", "type": "int", "on_error": "rescue"}])
    assert "_rescued" not in table_schema(SCHEMA, (), unknown).names
    assert "_rescued" in table_schema(soft, (), unknown).names


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("nothing", "there is no column"),
        ("at", "use date(at)"),
        ("price", "no type to partition by"),
        ("date(id)", "needs a timestamp column"),
        ("date(day)", "needs a timestamp column"),
        ("date(nothing)", "there is no column"),
        ("date(_kafka_offset)", "needs a timestamp column"),
    ],
)
def test_what_cannot_be_a_partition_is_refused(entry: str, why: str) -> None:
    """It would make one folder per event, or fail at the first write."""
    ((index, message),) = partition_problems(table_schema(SCHEMA), ("day", entry))
    assert index == 1
    assert why in message


def test_a_partition_column_that_stands_twice_is_refused() -> None:
    """The table could not be created."""
    assert partition_problems(table_schema(SCHEMA), ("day", "day")) == [(1, "stands twice")]


def test_good_partitions_are_named_after_their_columns() -> None:
    """The sink asks for the names, the kernel for the sources."""
    assert partition_problems(table_schema(SCHEMA), ("day", "date(_ingested_at)")) == []
    assert partition_columns(("day", "date( at )")) == ["day", "at_date"]
    assert date_sources(("day", "date(at)", "date(at)")) == ["at"]
