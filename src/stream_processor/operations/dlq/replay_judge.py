"""What today's rules make of stored events: rows, or why not. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stream_processor.errors import ConservationViolated
from stream_processor.operations.dlq.replay_patch import Patch
from stream_processor.processor.kernel import Processed, process
from stream_processor.processor.plan import Plan, Stamp
from stream_processor.processor.table_rules import identities, without_broken
from stream_processor.schema import records
from stream_processor.sinks.delta import broken_rows
from stream_processor.sinks.delta_rules import TableRules
from stream_processor.sources.replay import raw_events

Rows = npt.NDArray[np.int64]

FAILURE = pa.schema(
    [
        pa.field("row", pa.int64()),
        pa.field("dlq_id", pa.string()),
        pa.field("stage", pa.string()),
        pa.field("code", pa.string()),
        pa.field("field_path", pa.string()),
    ]
)
"""Why one event is no row today; `row` is its place among the letters that were judged."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Every letter in exactly one of three: `replayed`, `failed` and `skipped` are their places.

    `rows` are those of `replayed`, in their order, with the columns of `plan.table`.
    """

    letters: pa.RecordBatch
    rows: pa.RecordBatch
    replayed: Rows
    failed: pa.Table
    skipped: Rows

    @property
    def first_failed(self) -> int | None:
        """The place of the first letter that fails again."""
        return pc.min(self.failed["row"]).as_py() if self.failed.num_rows else None


def judge(
    letters: pa.RecordBatch,
    plan: Plan,
    stamp: Stamp,
    patch: Patch | None,
    rules: TableRules,
) -> Judged:
    """Re-parse the exact stored bytes, patched where a person says so.

    A value that was cut when it became a dead letter is not the event any more: it fails again.
    So does one that cannot be patched, for the reason that the kernel gives, and one that the
    table's own `rules` refuse. Raises
    `ConservationViolated` for a mistake of ours.
    """
    cut = cut_letters(letters)
    whole = np.setdiff1d(np.arange(letters.num_rows), cut)
    chosen = letters.take(pa.array(whole))
    raw, unpatched = _patched(raw_events(chosen), patch)
    done = process(raw, plan, stamp)
    done = without_broken(done, broken_rows(rules, done.valid), raw, plan, stamp)
    dead = _places(chosen["dlq_id"], done.dead["dlq_id"])
    skipped = _skipped(raw, done.skipped)
    valid = np.setdiff1d(np.arange(chosen.num_rows), np.concatenate([dead, skipped]))
    _check(raw, done, valid)
    if len(np.intersect1d(valid, unpatched)):
        raise ConservationViolated("a record that could not be patched became a row")
    failed = pa.concat_tables(
        [
            too_large(letters, cut),
            _table(whole[dead], *(done.dead[name] for name in FAILURE.names[1:])),
        ]
    )
    return Judged(letters, done.valid, whole[valid], failed.sort_by("row"), whole[skipped])


def up_to_failure(
    letters: pa.RecordBatch, on_fail: str, judged: Callable[[pa.RecordBatch], Judged]
) -> Judged:
    """All letters, or with `--on-fail stop` those up to and with the first that fails again.

    For each step, whatever its target, and for the dry run. `judged` may be called twice.
    """
    found = judged(letters)
    first = found.first_failed
    if on_fail == "keep" or first is None:
        return found
    return judged(letters.slice(0, first + 1))


def cut_letters(letters: pa.RecordBatch) -> Rows:
    """The places of those that are not the whole event."""
    return np.flatnonzero(np.asarray(letters["value_truncated"].fill_null(False), dtype=np.bool_))  # noqa: FBT003 - what a missing value counts as


def too_large(letters: pa.RecordBatch, rows: Rows) -> pa.Table:
    """The failures of letters whose event is not whole, shaped as `FAILURE`."""
    return _table(
        rows,
        letters["dlq_id"].take(pa.array(rows)),
        pa.repeat("decode", len(rows)),
        pa.repeat("record.too_large", len(rows)),
        pa.nulls(len(rows), pa.string()),
    )


def _table(rows: Rows, *texts: pa.Array) -> pa.Table:
    return pa.Table.from_arrays([pa.array(rows), *texts], schema=FAILURE)


def _patched(raw: pa.RecordBatch, patch: Patch | None) -> tuple[pa.RecordBatch, Rows]:
    """The events with changed values, and which could not be changed: those stay as they are."""
    if patch is None:
        return raw, np.empty(0, np.int64)
    before = raw["value"].to_pylist()
    after = [patch.apply(value) for value in before]
    unpatched = [index for index, value in enumerate(after) if value is None]
    for index in unpatched:
        after[index] = before[index]
    place = raw.schema.get_field_index("value")
    return (
        raw.set_column(place, raw.schema.field(place), pa.array(after, pa.binary())),
        np.array(unpatched, np.int64),
    )


def _places(ids: pa.Array, wanted: pa.Array) -> Rows:
    """Where each wanted id stands; the kernel makes the same id of the same identity."""
    if not len(wanted):
        return np.empty(0, np.int64)
    return np.asarray(pc.index_in(wanted, value_set=ids).fill_null(-1), dtype=np.int64)


def _skipped(raw: pa.RecordBatch, skipped: pa.RecordBatch) -> Rows:
    if not skipped.num_rows:
        return np.empty(0, np.int64)
    places = {identity: row for row, identity in enumerate(identities(raw, records.EVENT_IDENTITY))}
    return np.array(
        [places[each] for each in identities(skipped, records.EVENT_IDENTITY)], np.int64
    )


def _check(raw: pa.RecordBatch, done: Processed, valid: Rows) -> None:
    """The law of conservation, before any effect: each event is in exactly one place."""
    chosen = raw.take(pa.array(valid))
    same = len(valid) == done.valid.num_rows and all(
        chosen[mine].cast(done.valid[theirs].type).equals(done.valid[theirs])
        for mine, theirs in zip(records.EVENT_IDENTITY, records.ROW_IDENTITY, strict=True)
    )
    if not same:
        raise ConservationViolated(
            "the replayed events are not each in exactly one of valid, dead and skipped",
            hint="nothing was written; please report this with the version and the schema file",
        )
