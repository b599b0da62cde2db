"""A plan is refused before the first event, or holds for all of them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from stream_processor.errors import ConfigurationError
from stream_processor.processor.kernel import process
from stream_processor.processor.plan import Stamp
from stream_processor.schema import records
from tests import builders


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"partition_by": ("nothing",)}, r"partition_by\[0\]: there is no column nothing"),
        ({"partition_by": ("currency", "created_at")}, r"partition_by\[1\].*date\(created_at\)"),
        ({"preview_mask": ("$.card",)}, r"preview_mask \$\.card"),
    ],
)
def test_what_cannot_work_is_refused(options: dict[str, Any], why: str) -> None:
    """A mistake found at the first write has already claimed partitions."""
    with pytest.raises(ConfigurationError, match=why):
        builders.plan(**options)


def test_metadata_and_partition_columns_are_filled() -> None:
    """They are what rows are found by."""
    plan = builders.plan(metadata=("key", "headers"), partition_by=("date(created_at)",))
    value = b'{"order_id":"1","amount":2,"created_at":"2026-11-23T23:59:59.9+00:30","x":1}'
    (row,) = process(builders.raw_batch([value], 41), plan, Stamp.at(7.0)).valid.to_pylist()
    assert row["_kafka_topic"] == "orders"
    assert row["_kafka_topic_id"] == "topic-id-1"
    assert (row["_kafka_partition"], row["_kafka_offset"]) == (0, 41)
    assert row["_kafka_timestamp"].timestamp() == 1_700_000_000
    assert row["_kafka_key"] == b"key-0"
    assert row["_kafka_headers"] == [{"name": "trace", "value": b"0"}]
    assert row["_ingested_at"].timestamp() == 7.0
    assert row["created_at_date"].isoformat() == "2026-11-23"
    assert row["_rescued"] == '{"x":1}'


def test_without_a_topic_id_the_name_is_the_identity() -> None:
    """Old brokers have no ids; their dead letters still need one each."""
    raw = builders.raw_batch([b"x"])
    nameless = raw.set_column(
        raw.schema.get_field_index("topic_id"),
        records.RAW.field("topic_id"),
        pa.nulls(1, records.RAW.field("topic_id").type),
    )
    done = process(nameless, builders.plan(), builders.STAMP).dead.to_pylist()[0]
    assert done["topic_id"] is None
    assert (
        done["dlq_id"]
        != process(raw, builders.plan(), builders.STAMP).dead.to_pylist()[0]["dlq_id"]
    )


@pytest.mark.parametrize("values", [[], [None], [None, None, b"", b"{}"]])
def test_odd_batches_are_batches(values: list[bytes | None]) -> None:
    """Silence, tombstones and nothing at all come from every topic some day."""
    plan = builders.plan([{"name": "a", "type": "int"}], tombstone="skip")
    done = builders.judge(values, plan)
    assert done.skipped.column("reason").to_pylist() == ["tombstone"] * values.count(None)
    assert done.valid.num_rows == values.count(b"{}")
    assert done.dead.column("code").to_pylist() == ["record.empty"] * values.count(b"")
