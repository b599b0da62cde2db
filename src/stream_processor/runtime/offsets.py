"""The offset arithmetic: what became of every offset of a batch. Pure.

The law of conservation is checked here for each batch in production, by an explicit raise: every
raw event is in exactly one of valid, dead and skipped; any other offset is a hole or held back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stream_processor.errors import ConservationViolated
from stream_processor.ports import Advance, Batch, Offsets, Partition
from stream_processor.schema import records

Key = tuple[str, int]
DeadByCode = Mapping[tuple[str, str], int]
Int64s = npt.NDArray[np.int64]
Ranges = tuple[tuple[int, int], ...]

_NONE: Int64s = np.empty(0, dtype=np.int64)


def account(
    batch: Batch, valid: pa.RecordBatch, dead: pa.RecordBatch, skipped: pa.RecordBatch
) -> Offsets:
    """How the batch moves each partition. Raises `ConservationViolated` for a mistake of ours.

    Called by `prepare` before any effect, so a violation costs nothing but the batch in memory.
    """
    delivered = _by_partition(batch.records, records.EVENT_IDENTITY)
    rows = _by_partition(valid, records.ROW_IDENTITY)
    letters = _by_partition(dead, records.EVENT_IDENTITY)
    left_out = _by_partition(skipped, records.EVENT_IDENTITY)
    _refuse_strangers(batch, delivered, rows, letters, left_out)
    reasons = _reasons(skipped)
    return {
        partition: _advance(
            batch,
            partition,
            delivered.get(partition.key, _NONE),
            tuple(part.get(partition.key, _NONE) for part in (rows, letters, left_out)),
            reasons.get(partition.key, {}),
        )
        for partition in batch.upto
    }


def _advance(
    batch: Batch,
    partition: Partition,
    delivered: Int64s,
    outcomes: tuple[Int64s, ...],
    reasons: Mapping[str, int],
) -> Advance:
    since, upto = batch.since[partition], batch.upto[partition]
    # A stable sort of a few runs that are sorted already is linear.
    if not np.array_equal(np.sort(np.concatenate(outcomes), kind="stable"), delivered):
        raise ConservationViolated(
            f"{partition}: the events of [{since}, {upto}) are not each in exactly one of "
            "valid, dead and skipped",
            hint="nothing was written; please report this with the version and the schema file",
        )
    held_back = batch.held_back.get(partition, ())
    gaps = batch.gaps.get(partition, ())
    return Advance(
        since=since,
        upto=upto,
        rows=len(outcomes[0]),
        dead=len(outcomes[1]),
        held_back=len(held_back),
        skipped=reasons,
        hole_ranges=_holes(since, upto, delivered, held_back, gaps),
        gaps=gaps,
    )


def _holes(
    since: int, upto: int, delivered: Int64s, held_back: Collection[int], gaps: Ranges
) -> Ranges:
    """The ranges of [since, upto) that nothing speaks for; raises when something is outside."""
    points = np.concatenate([delivered, np.array(sorted(held_back), dtype=np.int64)])
    points.sort(kind="stable")
    if len(points) and (points[0] < since or points[-1] >= upto or np.any(np.diff(points) <= 0)):
        raise ConservationViolated(f"a batch holds offsets twice or outside of [{since}, {upto})")
    if len(points) == upto - since:
        return ()
    begins = np.concatenate([[since], points + 1, *[[end] for _, end in gaps]])
    ends = np.concatenate([points, *[[begin] for begin, _ in gaps], [upto]])
    begins.sort(kind="stable")
    ends.sort(kind="stable")
    open_ = begins < ends
    return tuple(
        (int(begin), int(end)) for begin, end in zip(begins[open_], ends[open_], strict=True)
    )


def _by_partition(batch: pa.RecordBatch, names: tuple[str, ...]) -> dict[Key, Int64s]:
    """The offsets of each partition in the order of the batch; one stable sort for all."""
    if not batch.num_rows:
        return {}
    topic, topic_id, partition, offset = (batch.column(name) for name in names)
    if topic_id.null_count:
        identity = pc.coalesce(topic_id.cast(pa.string()), topic.cast(pa.string()))
    else:
        identity = topic_id
    if not pa.types.is_dictionary(identity.type):
        identity = identity.dictionary_encode()
    numbers = partition.to_numpy(zero_copy_only=False).astype(np.int64)
    width = int(numbers.max()) + 1
    codes = identity.indices.to_numpy(zero_copy_only=False).astype(np.int64) * width + numbers
    order = np.argsort(codes.astype(np.uint16) if codes.max() < 2**16 else codes, kind="stable")
    codes = codes[order]
    offsets = offset.to_numpy(zero_copy_only=False)[order]
    begins = np.flatnonzero(np.diff(codes, prepend=-1))
    names_ = identity.dictionary.to_pylist()
    found: dict[Key, Int64s] = {}
    for begin, end in zip(begins, [*begins[1:], len(codes)], strict=True):
        code = int(codes[begin])
        found[(names_[code // width], code % width)] = offsets[begin:end]
    return found


def dead_by_code(dead: pa.RecordBatch) -> DeadByCode:
    """How many dead letters of a batch each (stage, code) has. Called as its commit begins."""
    names = ["stage", "code"]
    letters = pa.Table.from_batches([dead.select(names)])
    found = letters.group_by(names).aggregate([([], "count_all")]).to_pylist()
    return {(row["stage"], row["code"]): row["count_all"] for row in found}


def _reasons(skipped: pa.RecordBatch) -> dict[Key, dict[str, int]]:
    """How many events of each partition were left out, by reason."""
    names = ["topic", "topic_id", "partition", "reason"]
    # A filter may leave out nearly every event, so they are counted by column.
    columns = [skipped.column(name) for name in names]
    plain = [one.cast(pa.string()) for one in columns[:2]] + columns[2:]
    found = pa.Table.from_arrays(plain, names).group_by(names).aggregate([([], "count_all")])
    counted: dict[Key, dict[str, int]] = {}
    for row in found.to_pylist():
        key = (row["topic_id"] or row["topic"], row["partition"])
        reasons = counted.setdefault(key, {})
        reasons[row["reason"]] = reasons.get(row["reason"], 0) + row["count_all"]
    return counted


def _refuse_strangers(batch: Batch, *parts: Mapping[Key, Int64s]) -> None:
    known = {partition.key for partition in batch.upto}
    for part in parts:
        if not part.keys() <= known:
            raise ConservationViolated("an event belongs to a partition that the batch lacks")
