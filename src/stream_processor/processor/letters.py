"""Rejections as dead letters, complete (records.md, 6).

Of a topic in flood only a sample is described in full: the first of each cause in a slice. The
other letters have all columns but those that say the same in more words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stream_processor.processor import excerpt, fingerprint
from stream_processor.processor.plan import Plan, Stamp
from stream_processor.processor.rejection import Rejection, stage_of
from stream_processor.schema import records

SAMPLE_PER_CAUSE = 3
"""So many dead letters of each fingerprint and slice are described in full in a flood."""
SAMPLE_MAX = 256
"""And so many of all fingerprints together, since strangers may invent causes."""

# Scalars of Arrow: for a plain value it looks for pandas on the disk, each time.
_NOT_FETCHED = pa.scalar(records.NOT_FETCHED, records.RAW.field("timestamp_type").type)
_FALSE = pa.scalar(False)  # noqa: FBT003  # Arrow's own
_ZERO_BYTE = pa.scalar("\0")

_HEAD_BYTES = 64 * 1024
_DIGEST_BYTES = 32

Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]
Indexes = np.ndarray[tuple[int], np.dtype[np.int64]]


class _Causes(NamedTuple):
    """The few causes of many rejections, as columns, and which one each rejection has."""

    columns: dict[str, pa.Array]
    each: Indexes

    def column(self, name: str) -> pa.Array:
        """A column of the causes, one value per rejection."""
        return self.columns[name].take(pa.array(self.each))


def dead_letters(
    raw: pa.RecordBatch, rejections: Sequence[Rejection], plan: Plan, stamp: Stamp
) -> pa.RecordBatch:
    """`raw` holds the events of `rejections`, one each; the shape is `records.DEAD_LETTER`."""
    causes = _causes(rejections)
    sampled_out = _sampled_out(raw, causes, stamp)
    detailed = np.flatnonzero(~sampled_out)
    columns = {
        **{name: pa.repeat(value, raw.num_rows) for name, value in _same(plan, stamp).items()},
        **_origin(raw),
        **{name: causes.column(name) for name in causes.columns},
        "actual": pa.array([rejection.first.actual for rejection in rejections], pa.string()),
        **_payload(raw, plan),
        **_details(raw, rejections, detailed, plan),
        "detail_sampled": pa.array(sampled_out),
        "dlq_id": _ids(raw, plan.options.pipeline_id),
    }
    return pa.RecordBatch.from_arrays(
        [columns[name] for name in records.DEAD_LETTER.names], schema=records.DEAD_LETTER
    )


def _causes(rejections: Sequence[Rejection]) -> _Causes:
    known: dict[tuple[str, str | None, str | None, str], int] = {}
    each = [
        known.setdefault((first.code, first.field_path, first.expected, pattern), len(known))
        for first, pattern, _, _ in rejections
    ]
    rows = [
        (stage, code, path, expected, fingerprint.fingerprint(stage, code, path, expected, pattern))
        for code, path, expected, pattern in known
        for stage in (stage_of(code),)
    ]
    names = ("stage", "code", "field_path", "expected", "fingerprint")
    columns = {
        name: pa.array([row[place] for row in rows], pa.string())
        for place, name in enumerate(names)
    }
    return _Causes(columns, np.array(each, np.int64))


def _sampled_out(raw: pa.RecordBatch, causes: _Causes, stamp: Stamp) -> Mask:
    """Which letters go without details: of topics in flood all but the first of each fingerprint.

    Which ones is told by the events and their order alone.
    """
    out = np.zeros(raw.num_rows, dtype=np.bool_)
    if not stamp.flooded or not raw.num_rows:
        return out
    topics = pa.array(sorted(stamp.flooded), pa.string())
    flooded = pc.is_in(raw.column("topic").cast(pa.string()), value_set=topics)
    rows = np.flatnonzero(flooded.to_numpy(zero_copy_only=False))
    prints = causes.columns["fingerprint"].dictionary_encode().indices.to_numpy()
    of_rows = prints[causes.each[rows]]
    order = np.argsort(of_rows, kind="stable")
    begins = np.searchsorted(of_rows[order], of_rows[order])
    kept = np.sort(rows[order[np.arange(len(order)) - begins < SAMPLE_PER_CAUSE]])[:SAMPLE_MAX]
    out[rows] = True
    out[kept] = False
    return out


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


def _origin(raw: pa.RecordBatch) -> dict[str, pa.Array]:
    columns = {
        name: raw.column(source).cast(records.DEAD_LETTER.field(name).type)
        for name, source in _ORIGIN.items()
    }
    columns["timestamp_type"] = pc.if_else(
        _unseen(raw), pa.scalar(None, pa.int32()), columns["timestamp_type"]
    )
    return columns


def _unseen(raw: pa.RecordBatch) -> pa.BooleanArray:
    """Which records could not be fetched at all."""
    return pc.equal(raw.column("timestamp_type"), _NOT_FETCHED)


def _payload(raw: pa.RecordBatch, plan: Plan) -> dict[str, pa.Array]:
    values = raw.column("value")
    sizes = pc.binary_length(values).cast(pa.int64())
    limit = pa.scalar(plan.options.max_record_bytes, pa.int64())
    large = pc.fill_null(pc.greater(sizes, limit), fill_value=_FALSE)
    if large.true_count:
        cut = pc.binary_slice(values, 0, _HEAD_BYTES)
        kept = pc.if_else(large, cut, values)
    else:
        kept = values
    return {
        "value": kept,
        "value_size": sizes,
        "value_sha256": _hashes(values),
        "value_truncated": pc.or_(large, _unseen(raw)),
    }


def _hashes(values: pa.BinaryArray) -> pa.StringArray:
    found = _texts(_digests(values.drop_null()).hex(), 2 * _DIGEST_BYTES)
    return _spread(found, values.is_valid())


def _digests(values: pa.BinaryArray) -> bytes:
    """The hashes of all values, one behind the other."""
    return b"".join([hashlib.sha256(value).digest() for value in values.to_pylist()])


def _texts(together: str, length: int) -> pa.StringArray:
    """A column of texts of one length, from all of them in one piece."""
    data = together.encode()
    bounds = np.arange(0, len(data) + 1, length, dtype=np.int32)
    return pa.StringArray.from_buffers(len(bounds) - 1, pa.py_buffer(bounds), pa.py_buffer(data))


def _spread(found: pa.Array, valid: pa.BooleanArray) -> pa.Array:
    """The values found at the valid places, null at the others."""
    if len(found) == len(valid):
        return found
    places = np.cumsum(valid.to_numpy(zero_copy_only=False)) - 1
    return found.take(pa.array(places, mask=~valid.to_numpy(zero_copy_only=False)))


def _details(
    raw: pa.RecordBatch, rejections: Sequence[Rejection], detailed: Indexes, plan: Plan
) -> dict[str, pa.Array]:
    """What the letters at these places say beyond their causes; null at the others."""
    valid = np.zeros(raw.num_rows, dtype=np.bool_)
    valid[detailed] = True
    there = pa.array(valid)
    values = raw.column("value").take(pa.array(detailed)).to_pylist()
    chosen = [rejections[place] for place in detailed.tolist()]
    previews = [
        None if value is None else excerpt.preview(value, plan.masks, stage_of(one.first.code))
        for value, one in zip(values, chosen, strict=True)
    ]
    return {
        "problems": _spread(_problems(chosen), there),
        "message": _spread(pa.array([one.message for one in chosen], pa.string()), there),
        "value_preview": _spread(pa.array(previews, pa.string()), there),
    }


def _problems(rejections: Sequence[Rejection]) -> pa.ListArray:
    lists = [rejection.problems for rejection in rejections]
    flat = [problem for problems in lists for problem in problems]
    ends = np.cumsum([0, *map(len, lists)])
    parts = [
        pa.array([problem[place] for problem in flat], field.type)
        for place, field in enumerate(records.PROBLEM)
    ]
    structs = pa.StructArray.from_arrays(parts, fields=list(records.PROBLEM))
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), structs)


def _ids(raw: pa.RecordBatch, pipeline_id: str) -> pa.StringArray:
    """The first half of the hash of `pipeline id, topic id or topic, partition, offset`."""
    topic, topic_id, partition, offset = (
        raw.column(name).cast(pa.string()) for name in records.EVENT_IDENTITY
    )
    identities = pc.binary_join_element_wise(
        pa.scalar(pipeline_id, pa.string()),
        pc.coalesce(topic_id, topic),
        partition,
        offset,
        _ZERO_BYTE,
    )
    hashed = _digests(identities.cast(pa.binary()))
    halves = np.frombuffer(hashed, np.uint8).reshape(-1, _DIGEST_BYTES)[:, : _DIGEST_BYTES // 2]
    return _texts(halves.tobytes().hex(), _DIGEST_BYTES)
