"""The pure kernel: the same call from every engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from stream_processor.processor.joined import joined
from stream_processor.processor.letters import dead_letters
from stream_processor.processor.plan import Plan, Stamp
from stream_processor.processor.rejection import Rejection
from stream_processor.processor.rows import table_batch, valid_batch
from stream_processor.processor.sorting import sort
from stream_processor.schema import records

_SLICE_ROWS = 32_768  # what a slice costs by itself is spread over so many events
_SLICE_BYTES = 4 * 2**20  # the work space of a slice is a small multiple of it


@dataclass(frozen=True, slots=True)
class Processed:
    """What became of a batch: every raw event is in exactly one of the three.

    `valid` has the columns of `plan.table`, `dead` is shaped as `records.DEAD_LETTER`, `skipped`
    as `records.SKIPPED`. All keep the order of the events.
    """

    valid: pa.RecordBatch
    dead: pa.RecordBatch
    skipped: pa.RecordBatch


def process(raw: pa.RecordBatch, plan: Plan, stamp: Stamp) -> Processed:
    """Split raw events into valid rows and dead letters. Never raises for bad data.

    `raw` is shaped as `records.RAW`. Called by every engine, once per batch; pure.
    """
    valid, dead, skipped = [], [], []
    for piece in _slices(raw):
        done = _process_slice(piece, plan, stamp)
        valid.append(done.valid)
        dead.append(done.dead)
        skipped.append(done.skipped)
        del done  # what has a second name here could not be let go while it is joined
    return Processed(joined(valid), joined(dead), joined(skipped))


def _process_slice(raw: pa.RecordBatch, plan: Plan, stamp: Stamp) -> Processed:
    unseen = raw.column("timestamp_type").to_numpy() == records.NOT_FETCHED
    sorted_out = sort(raw.column("value"), unseen, plan)
    rows = valid_batch(raw, sorted_out.kept, plan, stamp)
    dead: dict[int, Rejection] = sorted_out.dead
    filtered: list[int] = []
    if plan.transform.steps:
        done = plan.transform.run(rows)
        places = sorted_out.kept.rows
        dead = _with_failed(dead, {int(places[row]): why for row, why in done.failed.items()})
        rows, filtered = done.rows, places[done.filtered].tolist()
    return Processed(
        table_batch(rows, plan),
        dead_letters(_chosen(raw, list(dead)), list(dead.values()), plan, stamp),
        _skipped(raw, dict.fromkeys(sorted_out.skipped, "tombstone"), filtered),
    )


def _with_failed(dead: dict[int, Rejection], failed: dict[int, Rejection]) -> dict[int, Rejection]:
    """All dead letters in the order of the events."""
    return dict(sorted((dead | failed).items())) if failed else dead


def _slices(raw: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch in pieces of bounded work space; an empty batch is one empty piece."""
    if not raw.num_rows:
        yield raw
        return
    values = raw.column("value")
    offsets = np.frombuffer(values.buffers()[1], np.int32)
    bounds = offsets[values.offset : values.offset + raw.num_rows + 1].astype(np.int64)
    begin = 0
    while begin < raw.num_rows:
        fitting = int(np.searchsorted(bounds, bounds[begin] + _SLICE_BYTES, side="right")) - 1
        length = max(1, min(fitting - begin, _SLICE_ROWS))
        yield raw.slice(begin, length)
        begin += length


def _chosen(raw: pa.RecordBatch, rows: list[int]) -> pa.RecordBatch:
    if len(rows) == raw.num_rows:  # they are in order
        return raw
    return raw.take(pa.array(rows, pa.int64()))


def _skipped(raw: pa.RecordBatch, reasons: dict[int, str], filtered: list[int]) -> pa.RecordBatch:
    """Events that are left out by rule, each with its reason, in the order of the events."""
    if filtered:
        reasons = dict(sorted((reasons | dict.fromkeys(filtered, "filtered")).items()))
    chosen = _chosen(raw, list(reasons))
    columns = [chosen.column(name) for name in records.EVENT_IDENTITY]
    told = pa.array(list(reasons.values()), pa.string())
    return pa.RecordBatch.from_arrays([*columns, told], schema=records.SKIPPED)
