"""Judged values as the record batch of the data table."""

from __future__ import annotations

import pyarrow as pa

from stream_processor.processor.plan import Plan, Stamp
from stream_processor.processor.sorting import Kept
from stream_processor.schema import records
from stream_processor.schema.table import date_sources
from stream_processor.schema.types import TIMESTAMP


def valid_batch(raw: pa.RecordBatch, kept: Kept, plan: Plan, stamp: Stamp) -> pa.RecordBatch:
    """The rows of a slice; the columns are those of `plan.parsed`."""
    names = [field.name for field in plan.schema.fields]
    columns = dict(zip(names, kept.columns, strict=True)) | _metadata(raw, kept, plan, stamp)
    if kept.rescued is not None:
        columns[records.RESCUED] = kept.rescued
    return pa.RecordBatch.from_arrays(
        [columns[name] for name in plan.parsed.names], schema=plan.parsed
    )


def table_batch(rows: pa.RecordBatch, plan: Plan) -> pa.RecordBatch:
    """Rows behind the transform as rows of `plan.table`: with the dates to partition by."""
    dates = [
        rows.column(source).cast(pa.date32()) for source in date_sources(plan.options.partition_by)
    ]
    return pa.RecordBatch.from_arrays([*rows.columns, *dates], schema=plan.table)


_METADATA = {
    records.KAFKA_TOPIC: "topic",
    records.KAFKA_TOPIC_ID: "topic_id",
    records.KAFKA_PARTITION: "partition",
    records.KAFKA_OFFSET: "offset",
    records.KAFKA_TIMESTAMP: "timestamp",
    records.KAFKA_KEY: "key",
    records.KAFKA_HEADERS: "headers",
}


def _metadata(raw: pa.RecordBatch, kept: Kept, plan: Plan, stamp: Stamp) -> dict[str, pa.Array]:
    columns = {
        name: raw.column(source) for name, source in _METADATA.items() if name in plan.parsed.names
    }
    if len(kept.rows) != raw.num_rows:
        rows = pa.array(kept.rows)
        columns = {name: column.take(rows) for name, column in columns.items()}
    ingested = pa.scalar(stamp.epoch_microseconds, pa.int64()).cast(TIMESTAMP)
    return {name: column.cast(plan.parsed.field(name).type) for name, column in columns.items()} | {
        records.INGESTED_AT: pa.repeat(ingested, len(kept.rows))
    }
