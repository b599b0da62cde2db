"""Judged values as the record batch of the data table."""

from __future__ import annotations

import pyarrow as pa

from stream_processor.processor.plan import Plan, Stamp
from stream_processor.processor.sorting import Kept
from stream_processor.schema import records
from stream_processor.schema.table import date_sources
from stream_processor.schema.types import TIMESTAMP


def valid_batch(raw: pa.RecordBatch, kept: Kept, plan: Plan, stamp: Stamp) -> pa.RecordBatch:
    """The rows of a slice; the columns are those of `plan.table`."""
    if len(kept.rows) != raw.num_rows:
        raw = raw.take(pa.array(kept.rows))
    names = [field.name for field in plan.schema.fields]
    columns = dict(zip(names, kept.columns, strict=True)) | _metadata(raw, stamp)
    if kept.rescued is not None:
        columns[records.RESCUED] = kept.rescued
    for source in date_sources(plan.options.partition_by):
        columns[f"{source}_date"] = columns[source].cast(pa.date32())
    return pa.RecordBatch.from_arrays(
        [columns[name] for name in plan.table.names], schema=plan.table
    )


def _metadata(raw: pa.RecordBatch, stamp: Stamp) -> dict[str, pa.Array]:
    ingested = pa.scalar(stamp.epoch_microseconds, pa.int64()).cast(TIMESTAMP)
    return {
        records.KAFKA_TOPIC: raw.column("topic").cast(pa.string()),
        records.KAFKA_TOPIC_ID: raw.column("topic_id").cast(pa.string()),
        records.KAFKA_PARTITION: raw.column("partition"),
        records.KAFKA_OFFSET: raw.column("offset"),
        records.KAFKA_TIMESTAMP: raw.column("timestamp").cast(TIMESTAMP),
        records.KAFKA_KEY: raw.column("key"),
        records.KAFKA_HEADERS: raw.column("headers"),
        records.INGESTED_AT: pa.repeat(ingested, raw.num_rows),
    }
