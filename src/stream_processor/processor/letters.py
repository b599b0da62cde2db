"""Rejections as dead letters, complete (records.md, 6)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
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
    stages = [rejection.stage for rejection in rejections]
    columns: dict[str, object] = {
        **{name: pa.repeat(value, raw.num_rows) for name, value in _same(plan, stamp).items()},
        **_origin(raw),
        **_reasons(rejections, stages),
        **_payload(raw, stages, plan),
        "dlq_id": _ids(raw, plan.options.pipeline_id),
    }
    arrays = [
        column if isinstance(column, pa.Array) else pa.array(column, field.type)
        for field in records.DEAD_LETTER
        for column in (columns[field.name],)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=records.DEAD_LETTER)


def _same(plan: Plan, stamp: Stamp) -> dict[str, pa.Scalar]:
    """What all letters of a batch share: the time, and which rules rejected them."""
    values = {
        "failed_at": stamp.when,
        "failed_date": stamp.when.date(),
        "pipeline": plan.options.pipeline_id,
        "schema_version": plan.schema.version,
        "schema_hash": plan.schema.schema_hash,
        "app_version": plan.options.app_version,
        "engine": plan.options.engine,
        "fingerprint_version": fingerprint.VERSION,
        "detail_sampled": False,
    }
    return {
        name: pa.scalar(value, records.DEAD_LETTER.field(name).type)
        for name, value in values.items()
    }


_ORIGIN = {
    "topic": "topic",
    "topic_id": "topic_id",
    "partition": "partition",
    "offset": "offset",
    "kafka_timestamp": "timestamp",
    "timestamp_type": "timestamp_type",
    "key": "key",
    "headers": "headers",
}


def _origin(raw: pa.RecordBatch) -> dict[str, object]:
    columns = {
        name: raw.column(source).cast(records.DEAD_LETTER.field(name).type)
        for name, source in _ORIGIN.items()
    }
    kinds = columns["timestamp_type"].to_pylist()
    columns["timestamp_type"] = [None if kind == records.NOT_FETCHED else kind for kind in kinds]
    return columns


def _reasons(rejections: Sequence[Rejection], stages: Sequence[str]) -> dict[str, object]:
    firsts = [rejection.problems[0] for rejection in rejections]
    return {
        "stage": stages,
        "code": [first.code for first in firsts],
        "field_path": [first.field_path for first in firsts],
        "expected": [first.expected for first in firsts],
        "actual": [first.actual for first in firsts],
        "problems": _problems(rejections),
        "message": [rejection.message for rejection in rejections],
        "fingerprint": [
            fingerprint.fingerprint(
                stage, first.code, first.field_path, first.expected, rejection.pattern
            )
            for stage, first, rejection in zip(stages, firsts, rejections, strict=True)
        ],
    }


def _problems(rejections: Sequence[Rejection]) -> pa.ListArray:
    flat = [problem for rejection in rejections for problem in rejection.problems]
    ends = np.cumsum([0, *(len(rejection.problems) for rejection in rejections)])
    parts = [
        pa.array([problem[place] for problem in flat], field.type)
        for place, field in enumerate(records.PROBLEM)
    ]
    structs = pa.StructArray.from_arrays(parts, fields=list(records.PROBLEM))
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), structs)


def _payload(raw: pa.RecordBatch, stages: list[str], plan: Plan) -> dict[str, object]:
    values: list[bytes | None] = raw.column("value").to_pylist()
    kinds = raw.column("timestamp_type").to_pylist()
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
        "value_truncated": [
            large or kind == records.NOT_FETCHED for large, kind in zip(cut, kinds, strict=True)
        ],
        "value_preview": [
            None if value is None else excerpt.preview(value, plan.masks, stage)
            for value, stage in zip(values, stages, strict=True)
        ],
    }


def _ids(raw: pa.RecordBatch, pipeline_id: str) -> list[str]:
    identities = zip(
        raw.column("topic").cast(pa.string()).to_pylist(),  # unpacking one by one is slow
        raw.column("topic_id").cast(pa.string()).to_pylist(),
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
