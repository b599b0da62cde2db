"""Which events of a slice are rows, with their columns, which are dead, and which are skipped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stream_processor.processor import by_reader
from stream_processor.processor.columns import Column, Indexes, Rows
from stream_processor.processor.exact import Failing, Judge, judge_of
from stream_processor.processor.native.decoder import native_decoder_of
from stream_processor.processor.plan import Plan
from stream_processor.processor.rejection import NEVER_FETCHED, Rejection
from stream_processor.processor.taken import Taken, merged


class Kept(NamedTuple):
    """The events that are rows: their indexes, the schema's columns, what is kept beside them."""

    rows: Indexes
    columns: list[pa.Array]
    rescued: pa.Array | None


class Sorted(NamedTuple):
    """Every event of a slice in exactly one place; `dead` in the order of the events."""

    kept: Kept
    dead: dict[int, Rejection]
    skipped: list[int]


def sort(values: pa.BinaryArray, unseen: Rows, plan: Plan) -> Sorted:
    """Judge all values of a slice; those of `unseen` were never fetched. Called by the kernel only.

    The cheap way for all events; the exact one for those that fail or are suspect, which alone
    gives the reasons.
    """
    dead: dict[int, Rejection] = dict.fromkeys(np.flatnonzero(unseen).tolist(), NEVER_FETCHED)
    skipped: list[int] = []
    open_rows = ~unseen
    if plan.options.tombstone == "skip" and values.null_count:
        tombstones = values.is_null().to_numpy(zero_copy_only=False) & open_rows
        skipped = np.flatnonzero(tombstones).tolist()
        open_rows &= ~tombstones
    taken = _take(values, open_rows, plan, dead)
    kept = _keep(values, taken, dead, plan)
    return Sorted(kept, dict(sorted(dead.items())), skipped)


def _take(values: pa.BinaryArray, open_rows: Rows, plan: Plan, dead: dict[int, Rejection]) -> Taken:
    """By the decoder that is there; what it leaves over by the reader, which knows every rule."""
    native = native_decoder_of(plan)
    if native is None or values.buffers()[2] is None:  # not one byte is there
        return by_reader.take(values, open_rows, plan, dead)
    taken = native.take(values, open_rows)
    left_over = open_rows.copy()
    left_over[taken.rows] = False
    if not left_over.any():
        return taken
    return merged(taken, by_reader.take(values, left_over, plan, dead))


def _keep(values: pa.BinaryArray, taken: Taken, dead: dict[int, Rejection], plan: Plan) -> Kept:
    judge = judge_of(plan)
    hard = _rejected(taken, judge, plan)
    dead.update(zip(taken.rows[np.fromiter(hard, np.int64)].tolist(), hard.values(), strict=True))
    rescued = _rescued(values, taken, judge, plan)
    arrays = [column.array for column in taken.columns]
    if not hard:
        return Kept(taken.rows, arrays, rescued)
    alive = np.ones(len(taken.rows), dtype=np.bool_)
    alive[list(hard)] = False
    mask = pa.array(alive)
    return Kept(
        taken.rows[alive],
        [array.filter(mask) for array in arrays],
        None if rescued is None else rescued.filter(mask),
    )


def _rejected(taken: Taken, judge: Judge, plan: Plan) -> dict[int, Rejection]:
    """Why events that were taken apart are no rows. Most fail one field and need no list."""
    failed = {
        place: taken.columns[place].failed
        for place, field in enumerate(plan.schema.fields)
        if field.on_error == "dead_letter"
    }
    reasons = np.zeros(len(taken.rows), np.int64)
    for mask in failed.values():
        reasons += mask
    reasons[list(taken.unknown)] += 2  # so that they are among the several
    found: dict[int, Rejection] = {}
    several: dict[int, list[Failing]] = {
        index: [] for index in np.flatnonzero(reasons > 1).tolist()
    }
    for place, mask in failed.items():
        failing = np.flatnonzero(mask)
        if not len(failing):
            continue
        why_of = taken.columns[place].failures
        for index, text in zip(failing.tolist(), taken.texts(place, failing), strict=True):
            one = Failing(place, text, why_of.get(index))
            if index in several:
                several[index].append(one)
            else:
                found[index] = judge.reason(one)
    for index, ones in several.items():
        found[index] = judge.reasons(ones, taken.unknown.get(index, []))
    return found


def _to_rescue(columns: Sequence[Column], plan: Plan) -> dict[int, list[int]]:
    """For every event with failing fields that are rescued: their places in the schema."""
    found: dict[int, list[int]] = {}
    for place, field in enumerate(plan.schema.fields):
        if field.on_error == "rescue":
            for index in np.flatnonzero(columns[place].failed).tolist():
                found.setdefault(index, []).append(place)
    return found


def _rescued(values: pa.BinaryArray, taken: Taken, judge: Judge, plan: Plan) -> pa.Array | None:
    """`_rescued` of every event; one with a failed field also keeps that field's key."""
    if not plan.rescues:
        return None
    kept = taken.rescued
    if kept is None:
        kept = pa.nulls(len(taken.rows), pa.string())
    soft = _to_rescue(taken.columns, plan)
    if not soft:
        return kept
    texts = []
    for index in sorted(soft):
        roots = {str(plan.schema.fields[place].path[0]) for place in soft[index]}
        value: bytes = values[int(taken.rows[index])].as_py()
        texts.append(judge.rescued(value, roots) or None)
    mask = np.zeros(len(taken.rows), dtype=np.bool_)
    mask[list(soft)] = True
    return pc.replace_with_mask(
        kept, pa.array(mask), pa.array(texts, pa.binary()).cast(pa.string())
    )
