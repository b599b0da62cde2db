"""Judged values as the record batch of the data table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from stream_processor.processor.exact import Row
from stream_processor.processor.plan import Plan, Stamp
from stream_processor.schema import records
from stream_processor.schema.table import date_sources
from stream_processor.schema.values import Value

_STORED_AS = {"timestamp": pa.int64(), "date": pa.int32()}


def valid_batch(
    raw: pa.RecordBatch, rows: Sequence[Row], plan: Plan, stamp: Stamp
) -> pa.RecordBatch:
    """`raw` holds the events of `rows`, one each; the columns are those of `plan.table`."""
    columns: dict[str, pa.Array] = {
        field.name: _column([row.values[index] for row in rows], field.type.kind, field.type.arrow)
        for index, field in enumerate(plan.schema.fields)
    }
    columns |= _metadata(raw, stamp)
    if plan.rescues:
        columns[records.RESCUED] = pa.array([row.rescued for row in rows], pa.string())
    for source in date_sources(plan.options.partition_by):
        columns[f"{source}_date"] = columns[source].cast(pa.date32())
    return pa.RecordBatch.from_arrays(
        [columns[name] for name in plan.table.names], schema=plan.table
    )


def _column(values: list[Value | None], kind: str, arrow: pa.DataType) -> pa.Array:
    stored = _STORED_AS.get(kind)
    return pa.array(values, arrow) if stored is None else pa.array(values, stored).cast(arrow)


def _metadata(raw: pa.RecordBatch, stamp: Stamp) -> dict[str, pa.Array]:
    ingested = np.full(raw.num_rows, stamp.epoch_microseconds, dtype=np.int64)
    return {
        records.KAFKA_TOPIC: raw.column("topic").cast(pa.string()),
        records.KAFKA_TOPIC_ID: raw.column("topic_id").cast(pa.string()),
        records.KAFKA_PARTITION: raw.column("partition"),
        records.KAFKA_OFFSET: raw.column("offset"),
        records.KAFKA_TIMESTAMP: raw.column("timestamp").cast(pa.timestamp("us", tz="UTC")),
        records.KAFKA_KEY: raw.column("key"),
        records.KAFKA_HEADERS: raw.column("headers"),
        records.INGESTED_AT: pa.array(ingested).cast(pa.timestamp("us", tz="UTC")),
    }
