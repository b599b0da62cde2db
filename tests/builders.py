"""Schemas, plans and raw batches with sane defaults, for tests that only care about one thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import pyarrow as pa

from stream_processor.config.fields import SchemaFile
from stream_processor.processor.kernel import Processed, process
from stream_processor.processor.plan import Plan, PlanOptions, Stamp, make_plan
from stream_processor.schema import records
from stream_processor.schema.compile import compile_schema
from stream_processor.schema.event import EventSchema

STAMP = Stamp.at(1_700_000_000.5)

ORDERS: tuple[dict[str, Any], ...] = (
    {"name": "order_id", "type": "string", "required": True},
    {"name": "amount", "type": "decimal(12,2)", "required": True, "minimum": 0},
    {
        "name": "currency",
        "type": "string",
        "enum": ["EUR", "USD", "GBP"],
        "normalise": ["trim", "upper"],
    },
    {"name": "created_at", "type": "timestamp", "required": True},
    {"name": "customer_id", "type": "string"},
)
"""The five critical fields of the orders example."""


def event_schema(fields: Sequence[dict[str, Any]] = ORDERS) -> EventSchema:
    """A compiled schema of the fields as a schema file spells them."""
    return compile_schema(
        SchemaFile.model_validate({"version": 1, "name": "test", "fields": list(fields)})
    )


def plan(fields: Sequence[dict[str, Any]] = ORDERS, **options: Any) -> Plan:
    """A plan of the pipeline `test`; `options` are those of `PlanOptions`."""
    return make_plan(event_schema(fields), PlanOptions(**{"pipeline_id": "test", **options}))


def raw_batch(values: Sequence[bytes | None], first_offset: int = 0) -> pa.RecordBatch:
    """Events of one partition with these values and consecutive offsets."""
    count = len(values)
    columns = {
        "topic": pa.array(["orders"] * count, pa.string()),
        "topic_id": pa.array(["topic-id-1"] * count, pa.string()),
        "partition": [0] * count,
        "offset": list(range(first_offset, first_offset + count)),
        "timestamp": [1_700_000_000_000 + index for index in range(count)],
        "timestamp_type": [1] * count,
        "key": [b"key-%d" % index for index in range(count)],
        "value": list(values),
        "headers": [[{"name": "trace", "value": b"%d" % index}] for index in range(count)],
    }
    arrays = [
        pa.array(columns[field.name], field.type)
        if isinstance(columns[field.name], list)
        else columns[field.name].cast(field.type)
        for field in records.RAW
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=records.RAW)


def replaced(batch: pa.RecordBatch, **columns: list[Any]) -> pa.RecordBatch:
    """The same batch with other values in these columns."""
    arrays = [
        pa.array(columns[field.name], field.type)
        if field.name in columns
        else batch.column(field.name)
        for field in batch.schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=batch.schema)


def judge(values: Sequence[bytes | None], chosen: Plan) -> Processed:
    """What becomes of events with these values; the decoder in C and Python must agree on it."""
    return process_by_both(raw_batch(values), chosen)


def process_by_both(raw: pa.RecordBatch, chosen: Plan) -> Processed:
    """What becomes of a batch, by whichever decoder."""
    done = process(raw, chosen, STAMP)
    slow = process(raw, by_python(chosen), STAMP)
    for one, other in (
        (done.valid, slow.valid),
        (done.dead, slow.dead),
        (done.skipped, slow.skipped),
    ):
        if not one.equals(other):
            raise AssertionError(f"decoders differ: {differing_rows(one, other)}")
    return done


@lru_cache(maxsize=64)
def by_python(chosen: Plan) -> Plan:
    """The same plan without the decoder in C."""
    return make_plan(chosen.schema, replace(chosen.options, decoder="python"))


def differing_rows(one: pa.RecordBatch, other: pa.RecordBatch) -> str:
    """The first row in which two batches differ, for a message."""
    if one.num_rows != other.num_rows:
        return f"{one.num_rows} rows, {other.num_rows} rows"
    pairs = zip(one.to_pylist(), other.to_pylist(), strict=True)
    return next((f"{a}\n{b}" for a, b in pairs if a != b), "types or bits")
