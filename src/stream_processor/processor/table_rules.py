"""Rows that the table itself would refuse become dead letters of stage write."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from stream_processor.processor.kernel import Processed
from stream_processor.processor.letters import dead_letters
from stream_processor.processor.plan import Plan, Stamp
from stream_processor.processor.rejection import Problem, Rejection
from stream_processor.schema import records
from stream_processor.schema.table_rules import Broken

_RULE_CHARACTERS = 200


def without_broken(
    done: Processed, broken: Mapping[int, Broken], raw: pa.RecordBatch, plan: Plan, stamp: Stamp
) -> Processed:
    """Move the rows of `broken` (by their place in `done.valid`) to the dead letters.

    Called by `prepare` and by a replay, after the kernel, with what the sink says. Pure. `raw` are
    the events that `done` was made of.
    """
    if not broken:
        return done
    places = {
        identity: place for place, identity in enumerate(identities(raw, records.EVENT_IDENTITY))
    }
    bad = sorted(broken)
    events = [
        places[identity]
        for identity in identities(done.valid.take(pa.array(bad)), records.ROW_IDENTITY)
    ]
    letters = dead_letters(
        raw.take(pa.array(events, pa.int64())),
        [rejection(broken[row]) for row in bad],
        plan,
        stamp,
    )
    before = [places[identity] for identity in identities(done.dead, records.EVENT_IDENTITY)]
    order = np.argsort([*before, *events], kind="stable")
    keep = np.ones(done.valid.num_rows, dtype=np.bool_)
    keep[bad] = False
    return Processed(
        done.valid.filter(pa.array(keep)),
        pa.concat_batches([done.dead, letters]).take(pa.array(order)),
        done.skipped,
    )


def rejection(broken: Broken) -> Rejection:
    """Why the table does not take the row."""
    rule = broken.rule[:_RULE_CHARACTERS]
    if broken.column is not None:
        sentence = f"the table demands a value in {broken.column} (NOT NULL)"
    else:
        sentence = f"the table's own constraint {broken.name} does not hold: {rule}"
    return Rejection(
        Problem("write.constraint", broken.column, rule, None), pattern=sentence, sentence=sentence
    )


def identities(batch: pa.RecordBatch, names: tuple[str, ...]) -> list[tuple[object, ...]]:
    """Which event each row of a batch is; `names` are the columns that say so. Also for replays."""
    columns = (batch[name] for name in names)
    return list(zip(*(_plain(column).to_pylist() for column in columns), strict=True))


def _plain(column: pa.Array) -> pa.Array:
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
