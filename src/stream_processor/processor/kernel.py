"""The pure kernel: the same call from every engine."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from stream_processor.processor.exact import Row, judge_of
from stream_processor.processor.letters import dead_letters
from stream_processor.processor.plan import Plan, Stamp
from stream_processor.processor.rejection import Rejection
from stream_processor.processor.rows import valid_batch
from stream_processor.schema import records


@dataclass(frozen=True, slots=True)
class Processed:
    """What became of a batch: every raw event is in exactly one of the three.

    `valid` has the columns of `plan.table`, `dead` is shaped as `records.DEAD_LETTER`, `skipped`
    as `records.SKIPPED`.
    """

    valid: pa.RecordBatch
    dead: pa.RecordBatch
    skipped: pa.RecordBatch


def process(raw: pa.RecordBatch, plan: Plan, stamp: Stamp) -> Processed:
    """Split raw events into valid rows and dead letters. Never raises for bad data."""
    judge = judge_of(id(plan), plan).judge
    skip_tombstones = plan.options.tombstone == "skip"
    rows: list[Row] = []
    rejections: list[Rejection] = []
    places: tuple[list[int], list[int], list[int]] = ([], [], [])
    for index, value in enumerate(raw.column("value").to_pylist()):
        if value is None and skip_tombstones:
            places[2].append(index)
            continue
        outcome = judge(value)
        if isinstance(outcome, Row):
            rows.append(outcome)
            places[0].append(index)
        else:
            rejections.append(outcome)
            places[1].append(index)
    good, bad, skipped = (raw.take(pa.array(chosen, pa.int64())) for chosen in places)
    return Processed(
        valid_batch(good, rows, plan, stamp),
        dead_letters(bad, rejections, plan, stamp),
        _skipped(skipped),
    )


def _skipped(raw: pa.RecordBatch) -> pa.RecordBatch:
    columns = [raw.column(name) for name in ("topic", "topic_id", "partition", "offset")]
    reasons = pa.array(["tombstone"] * raw.num_rows, pa.string())
    return pa.RecordBatch.from_arrays([*columns, reasons], schema=records.SKIPPED)
