"""Which events of a slice are rows, with their columns, which are dead, and which are skipped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from stream_processor.processor.columns import Column, Rows, column, token_array
from stream_processor.processor.exact import Failing, Judge, judge_of
from stream_processor.processor.plan import Plan
from stream_processor.processor.reader import Reading, reader_of
from stream_processor.processor.rejection import NEVER_FETCHED, Rejection
from stream_processor.processor.screen import screen
from stream_processor.processor.syntax import fault, too_deep

Indexes = np.ndarray[tuple[int], np.dtype[np.int64]]


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


class _Texts(NamedTuple):
    """The values of a slice as Arrow has them and as Python does."""

    column: pa.BinaryArray
    each: Sequence[bytes]


class _Read(NamedTuple):
    """What could be taken apart: the events' indexes and values, and what the reader found."""

    rows: Indexes
    values: list[bytes]
    reading: Reading


def sort(values: pa.BinaryArray, unseen: Rows, plan: Plan) -> Sorted:
    """Judge all values of a slice; those of `unseen` were never fetched. Called by the kernel only.

    The cheap way for all events; the exact one for those that fail or are suspect, which alone
    gives the reasons.
    """
    judge = judge_of(plan)
    dead: dict[int, Rejection] = dict.fromkeys(np.flatnonzero(unseen).tolist(), NEVER_FETCHED)
    skipped: list[int] = []
    open_rows = ~unseen
    if plan.options.tombstone == "skip" and values.null_count:
        tombstones = values.is_null().to_numpy(zero_copy_only=False) & open_rows
        skipped = np.flatnonzero(tombstones).tolist()
        open_rows &= ~tombstones
    texts: list[bytes] = values.to_pylist()
    _reject_texts(_Texts(values, texts), plan, open_rows, dead)
    read = _read(texts, open_rows, judge, dead, plan)
    kept = _keep(read, judge, dead, plan)
    return Sorted(kept, dict(sorted(dead.items())), skipped)


def _reject_texts(values: _Texts, plan: Plan, open_rows: Rows, dead: dict[int, Rejection]) -> None:
    """Take out what must not meet a decoder, or is no text to decode at all."""
    screening = screen(values.column, plan.options)
    suspect = screening.suspect.tolist()
    for row in np.flatnonzero((screening.suspect | screening.bracketed) & open_rows).tolist():
        judged = fault if suspect[row] else too_deep
        rejection = judged(values.each[row], plan.options)
        if rejection is not None:
            dead[row] = rejection
            open_rows[row] = False


def _read(
    texts: list[bytes], open_rows: Rows, judge: Judge, dead: dict[int, Rejection], plan: Plan
) -> _Read:
    rows = np.flatnonzero(open_rows)
    if len(rows) != len(texts):
        texts = [texts[row] for row in rows.tolist()]
    reading = reader_of(plan).read(texts)
    for index in reading.refused:
        dead[int(rows[index])] = judge.unreadable(texts[index])
    if reading.refused:
        read = np.ones(len(texts), dtype=np.bool_)
        read[reading.refused] = False
        rows = rows[read]
        texts = [texts[index] for index in np.flatnonzero(read).tolist()]
    return _Read(rows, texts, reading)


def _keep(read: _Read, judge: Judge, dead: dict[int, Rejection], plan: Plan) -> Kept:
    columns = _columns(read, plan)
    unknown = read.reading.unknown
    tokens = [read.reading.tokens[field.path] for field in plan.schema.fields]
    hard: dict[int, list[int]] = {index: [] for index in unknown}
    hard |= _failing(columns, plan, "dead_letter")
    for index, places in hard.items():
        failing = [
            Failing(place, tokens[place][index], columns[place].failures.get(index))
            for place in places
        ]
        dead[int(read.rows[index])] = judge.reasons(failing, unknown.get(index, []))
    rescued = _rescued(read, _failing(columns, plan, "rescue"), judge, plan)
    arrays = [column.array for column in columns]
    if not hard:
        return Kept(read.rows, arrays, rescued)
    alive = np.ones(len(read.rows), dtype=np.bool_)
    alive[list(hard)] = False
    mask = pa.array(alive)
    return Kept(
        read.rows[alive],
        [array.filter(mask) for array in arrays],
        None if rescued is None else rescued.filter(mask),
    )


def _columns(read: _Read, plan: Plan) -> list[Column]:
    texts = {path: token_array(tokens) for path, tokens in read.reading.tokens.items()}
    return [
        column(field, plan.options.coerce, read.reading.tokens[field.path], texts[field.path])
        for field in plan.schema.fields
    ]


def _failing(columns: Sequence[Column], plan: Plan, on_error: str) -> dict[int, list[int]]:
    """For every event with failing fields that are treated so: their places in the schema."""
    found: dict[int, list[int]] = {}
    for place, field in enumerate(plan.schema.fields):
        if field.on_error == on_error:
            for index in np.flatnonzero(columns[place].failed).tolist():
                found.setdefault(index, []).append(place)
    return found


def _rescued(read: _Read, soft: dict[int, list[int]], judge: Judge, plan: Plan) -> pa.Array | None:
    """`_rescued` of every event; one with a failed field also keeps that field's key."""
    if not plan.rescues:
        return None
    kept: Sequence[bytes | None] = read.reading.rescued or [None] * len(read.rows)
    if soft:
        kept = list(kept)
        for index, places in soft.items():
            roots = {str(plan.schema.fields[place].path[0]) for place in places}
            kept[index] = judge.rescued(read.values[index], roots) or None
    return pa.array(kept, pa.binary()).cast(pa.string())
