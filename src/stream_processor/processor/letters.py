"""Rejections as dead letters, complete (records.md, 6)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pyarrow as pa

from stream_processor.processor import excerpt, fingerprint
from stream_processor.processor.plan import Plan, Stamp
from stream_processor.processor.rejection import Rejection
from stream_processor.schema import records

_HEAD_BYTES = 64 * 1024


def dead_letters(
    raw: pa.RecordBatch, rejections: Sequence[Rejection], plan: Plan, stamp: Stamp
) -> pa.RecordBatch:
    """`raw` holds the events of `rejections`, one each; the shape is `records.DEAD_LETTER`."""
    count = raw.num_rows
    values = raw.column("value").to_pylist()
    options = plan.options
    stages = [rejection.stage for rejection in rejections]
    firsts = [rejection.problems[0] for rejection in rejections]
    columns: dict[str, object] = {
        "dlq_id": _ids(raw, options.pipeline_id),
        "failed_at": [stamp.when] * count,
        "failed_date": [stamp.when.date()] * count,
        "pipeline": [options.pipeline_id] * count,
        "schema_version": [plan.schema.version] * count,
        "schema_hash": [plan.schema.schema_hash] * count,
        "app_version": [options.app_version] * count,
        "engine": [options.engine] * count,
        "stage": stages,
        "code": [first.code for first in firsts],
        "field_path": [first.field_path for first in firsts],
        "expected": [first.expected for first in firsts],
        "actual": [first.actual for first in firsts],
        "problems": [[each._asdict() for each in one.problems] for one in rejections],
        "message": [rejection.message for rejection in rejections],
        "fingerprint": [_fingerprint(rejection) for rejection in rejections],
        "fingerprint_version": [fingerprint.VERSION] * count,
        "topic": raw.column("topic").cast(pa.string()),
        "topic_id": raw.column("topic_id").cast(pa.string()),
        "partition": raw.column("partition"),
        "offset": raw.column("offset"),
        "kafka_timestamp": raw.column("timestamp").cast(pa.timestamp("us", tz="UTC")),
        "timestamp_type": raw.column("timestamp_type").cast(pa.int32()),
        "key": raw.column("key"),
        "headers": raw.column("headers"),
        "detail_sampled": [False] * count,
        **_payload(values, stages, plan),
    }
    return pa.RecordBatch.from_arrays(
        [
            column if isinstance(column, pa.Array) else pa.array(column, field.type)
            for field in records.DEAD_LETTER
            for column in (columns[field.name],)
        ],
        schema=records.DEAD_LETTER,
    )


def _payload(values: list[bytes | None], stages: list[str], plan: Plan) -> dict[str, list[object]]:
    limit = plan.options.max_record_bytes
    cut = [value is not None and len(value) > limit for value in values]
    return {
        "value": [
            value[:_HEAD_BYTES] if value is not None and large else value
            for value, large in zip(values, cut, strict=True)
        ],
        "value_size": [None if value is None else len(value) for value in values],
        "value_sha256": [
            None if value is None else hashlib.sha256(value).hexdigest() for value in values
        ],
        "value_truncated": list(cut),
        "value_preview": [
            None if value is None else excerpt.preview(value, plan.masks, stage)
            for value, stage in zip(values, stages, strict=True)
        ],
    }


def _ids(raw: pa.RecordBatch, pipeline_id: str) -> list[str]:
    identities = zip(
        raw.column("topic").to_pylist(),
        raw.column("topic_id").to_pylist(),
        raw.column("partition").to_pylist(),
        raw.column("offset").to_pylist(),
        strict=True,
    )
    return [
        hashlib.sha256(
            f"{pipeline_id}\0{topic_id or topic}\0{partition}\0{offset}".encode()
        ).hexdigest()[:32]
        for topic, topic_id, partition, offset in identities
    ]


def _fingerprint(rejection: Rejection) -> str:
    first = rejection.problems[0]
    return fingerprint.fingerprint(
        rejection.stage, first.code, first.field_path, first.expected, rejection.pattern
    )
