"""One dead letter or one group, with all that a person asks of it: for `dlq show`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import reduce
from typing import Any

import pyarrow.compute as pc

from stream_processor.errors import StreamProcessorError
from stream_processor.operations.dlq.counts import per_hour
from stream_processor.operations.dlq.groups import Group, groups_of
from stream_processor.operations.dlq.letters import DeadLetters
from stream_processor.operations.dlq.nearest import nothing_matched
from stream_processor.operations.dlq.newest import newest
from stream_processor.operations.dlq.selection import Selector
from stream_processor.operations.dlq.verdict import Verdict, verdict
from stream_processor.operations.snapshots import Tables, open_ledger
from stream_processor.processor.plan import Plan, Stamp
from stream_processor.schema import records
from stream_processor.schema.text_column import text_column
from stream_processor.sinks.delta_errors import mapped

SAMPLES = 5
_CANDIDATES_MAX = 5
_SAMPLE_COLUMNS = (
    "dlq_id",
    "failed_at",
    "topic",
    "partition",
    "offset",
    "expected",
    "actual",
    "problems",
    "message",
)

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rules:
    """By what a record is judged now: the schema on disk, and the time."""

    plan: Plan
    now: datetime


@dataclass(frozen=True, slots=True)
class RecordView:
    """`letter` has all columns of the table and `status`; `history` its ledger rows, oldest first.

    `verdict` is that of the schema that was given.
    """

    letter: Row
    history: tuple[Row, ...]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class GroupView:
    """`samples` are the newest records; `problems` counts what else is wrong with these."""

    group: Group
    hours: Mapping[datetime, int]
    samples: tuple[Row, ...]
    problems: Mapping[tuple[str, str | None, str | None], int]


def look(
    letters: DeadLetters, tables: Tables, selector: Selector, rules: Rules
) -> RecordView | GroupView:
    """Everything about the one record, or the one group, that the selector means.

    Raises `StreamProcessorError` when it means nothing, or more than one; and `Unavailable`.
    """
    found = _found(letters, selector)
    if not found.rows:
        raise nothing_matched(letters, selector)
    by_id = bool(selector.ids)
    if len(found.records) == 1 and not (by_id and found.groups):
        return _record(letters, tables, found.records[0], rules)
    if len(found.groups) == 1 and not (by_id and found.records):
        (fingerprint,) = found.groups
        return _group(letters, replace(selector, ids=(fingerprint,)), rules)
    raise _several(found)


@dataclass(slots=True)
class _Found:
    """What a selector means: some records that it names, and the groups of all others."""

    rows: int = 0
    records: list[tuple[str, datetime]] = field(default_factory=list)
    groups: set[str] = field(default_factory=set)


def _found(letters: DeadLetters, selector: Selector) -> _Found:
    """Ids name records or groups; where there are no ids, each row is of both."""
    found = _Found()
    for batch in letters.read(selector, ["dlq_id", "fingerprint", "failed_at"]):
        found.rows += batch.num_rows
        named = others = batch
        if selector.ids:
            begins = [pc.starts_with(batch["dlq_id"], text) for text in selector.ids]
            mask = reduce(pc.or_, begins)
            named, others = batch.filter(mask), batch.filter(pc.invert(mask))
        some = named.slice(0, _CANDIDATES_MAX).to_pylist()
        found.records += [(row["dlq_id"], row["failed_at"]) for row in some]
        found.records = found.records[:_CANDIDATES_MAX]
        if len(found.groups) <= _CANDIDATES_MAX:
            found.groups.update(others["fingerprint"].unique().to_pylist())
    return found


def _several(found: _Found) -> StreamProcessorError:
    groups = [f"group {each}" for each in sorted(found.groups)]
    ids = [f"record {each}" for each, _ in sorted(found.records)]
    some = [*groups, *ids][:_CANDIDATES_MAX]
    return StreamProcessorError(
        f"{found.rows:,} dead letters are chosen; they are neither one record nor one group",
        hint="\n".join(["name one of them; `dlq list` shows all, and these are some:", *some]),
    )


def _record(
    letters: DeadLetters, tables: Tables, found: tuple[str, datetime], rules: Rules
) -> RecordView:
    dlq_id, failed_at = found
    # Its time as well, so that only the files of its day are opened.
    just = Selector(ids=(dlq_id,), since=failed_at, until=failed_at + timedelta(microseconds=1))
    (batch,) = letters.read(just, records.DEAD_LETTER.names)
    return RecordView(
        letter=batch.to_pylist()[0],
        history=tuple(_history(tables, dlq_id)),
        verdict=verdict(batch, rules.plan, Stamp.at(rules.now.timestamp())),
    )


def _history(tables: Tables, dlq_id: str) -> list[Row]:
    ledger = open_ledger(tables)
    if ledger is None:
        return []
    with mapped(ledger.uri, "reading"):
        rows = ledger.table.to_pyarrow_dataset().to_table(filter=text_column("dlq_id") == dlq_id)
    order = [("at", "ascending"), ("action_id", "ascending")]
    done: list[Row] = rows.sort_by(order).to_pylist()
    return done


def _group(letters: DeadLetters, selector: Selector, rules: Rules) -> GroupView:
    group = groups_of(letters, replace(selector, status=None), rules.now).shown[0]
    samples = newest(letters, selector, _SAMPLE_COLUMNS, SAMPLES).rows
    problems = Counter(
        (problem["code"], problem["field_path"], problem["expected"])
        for sample in samples
        for problem in sample["problems"] or ()
    )
    return GroupView(group, per_hour(letters, selector), samples, problems)
