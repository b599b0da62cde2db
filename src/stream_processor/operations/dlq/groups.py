"""Causes, not rows: dead letters with one fingerprint are one group, and what is the case with it.

A group is (fingerprint, fingerprint_version), so rows of an older version keep their groups.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stream_processor.operations.dlq.letters import DeadLetters
from stream_processor.operations.dlq.selection import Selector
from stream_processor.operations.try_payloads import plain
from stream_processor.schema.types import TIMESTAMP

RECENT = timedelta(hours=24)

_COLUMNS = ("fingerprint", "fingerprint_version", "stage", "code", "field_path", "failed_at")
_GROUP = ["fingerprint", "fingerprint_version"]
_KEYS = [*_GROUP, "stage", "code", "field_path", "status"]
_SUMS = {
    "rows": "sum",
    "recent": "sum",
    "first_seen": "min",
    "last_seen": "max",
    "acted_at": "max",
}
_PARTS_ROWS_MAX = 1 << 18

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Group:
    """One cause. `counts` is by status; times are of `failed_at`; `recent` of the last 24 hours.

    `state` is new, ongoing, regressed, replayed or ignored; for a moment also purged or erased.
    """

    fingerprint: str
    fingerprint_version: int
    stage: str
    code: str
    field_path: str | None
    counts: Mapping[str, int]
    recent: int
    first_seen: datetime
    last_seen: datetime
    state: str

    @property
    def open(self) -> int:
        """How many of its records nobody has dealt with."""
        return self.counts.get("open", 0)

    def as_json(self) -> dict[str, Any]:
        """Plain values; times are RFC 3339 in UTC."""
        return {
            "group": self.fingerprint,
            "fingerprint_version": self.fingerprint_version,
            "stage": self.stage,
            "code": self.code,
            "field_path": self.field_path,
            "state": self.state,
            "open": self.open,
            "counts": dict(self.counts),
            "last_24_hours": self.recent,
            "first_seen": plain(self.first_seen),
            "last_seen": plain(self.last_seen),
        }


@dataclass(frozen=True, slots=True)
class Groups:
    """`shown`: the newest groups with a record of the wanted status, of `matching` in all.

    `counts` are all chosen rows by status; `hidden` the groups without a record of that status.
    """

    shown: tuple[Group, ...]
    matching: int
    hidden: int
    counts: Mapping[str, int]

    def as_json(self) -> dict[str, Any]:
        """The report of `dlq list --json`."""
        return {
            "groups": [group.as_json() for group in self.shown],
            "groups_matching": self.matching,
            "groups_hidden": self.hidden,
            "records": dict(self.counts),
        }


def groups_of(
    letters: DeadLetters, selector: Selector, now: datetime, limit: int | None = None
) -> Groups:
    """The groups of what the selector means, newest first. Called by `dlq list` and `dlq show`.

    `selector.status` chooses groups, not rows: what is the case with a group depends on all its
    rows. With bounds of time, whatever is said of a group is said of that time only. One pass over
    narrow columns; memory grows with the number of groups. Raises `Unavailable`.
    """
    rows = _summed(letters, replace(selector, status=None), now - RECENT)
    wanted = rows if selector.status is None else rows.filter(_is(rows, selector.status))
    newest = rows.group_by(_GROUP).aggregate([("last_seen", "max"), ("rows", "sum")])
    matching = newest.join(wanted.select(_GROUP), _GROUP, join_type="left semi").sort_by(
        [
            ("last_seen_max", "descending"),
            ("rows_sum", "descending"),  # of one batch, what matters most
            ("fingerprint", "ascending"),
        ]
    )
    chosen = matching.slice(0, limit).select(_GROUP)
    members: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in rows.join(chosen, _GROUP, join_type="left semi").to_pylist():
        members[row["fingerprint"], row["fingerprint_version"]].append(row)
    return Groups(
        tuple(_group(members[tuple(key.values())], now) for key in chosen.to_pylist()),
        matching.num_rows,
        newest.num_rows - matching.num_rows,
        {
            row["status"]: row["rows_sum"]
            for row in rows.group_by("status").aggregate([("rows", "sum")]).to_pylist()
        },
    )


def _summed(letters: DeadLetters, selector: Selector, since: datetime) -> pa.Table:
    """One row for each group and status."""
    parts: list[pa.Table] = []
    rows = 0
    for batch in letters.read_coded(selector, _COLUMNS):
        parts.append(_part(batch, since))
        rows += parts[-1].num_rows
        if rows > _PARTS_ROWS_MAX:
            parts = [_merged(parts)]
            rows = 0
    return _merged(parts)


def _part(batch: pa.RecordBatch, since: datetime) -> pa.Table:
    failed_at = batch["failed_at"]
    recent = pc.greater_equal(failed_at, pa.scalar(since, TIMESTAMP))
    table = pa.table(
        {name: batch[name] for name in _KEYS}
        | {
            "rows": pa.repeat(1, batch.num_rows),
            "recent": recent.cast(pa.int64()),
            "first_seen": failed_at,
            "last_seen": failed_at,
            "acted_at": batch["acted_at"],
        }
    )
    return _aggregated(table).cast(_SHAPE)


def _merged(parts: Sequence[pa.Table]) -> pa.Table:
    return _aggregated(pa.concat_tables(parts)) if parts else _SHAPE.empty_table()


def _aggregated(table: pa.Table) -> pa.Table:
    done = table.group_by(_KEYS).aggregate([*_SUMS.items()])
    return done.rename_columns({f"{name}_{how}": name for name, how in _SUMS.items()})


def _is(rows: pa.Table, status: str) -> pa.ChunkedArray:
    return pc.equal(rows["status"], status)


def _group(rows: Sequence[Row], now: datetime) -> Group:
    first = min(rows, key=lambda row: row["first_seen"])
    counts: Counter[str] = Counter()
    for row in rows:
        counts[row["status"]] += row["rows"]
    return Group(
        fingerprint=first["fingerprint"],
        fingerprint_version=first["fingerprint_version"],
        stage=first["stage"],
        code=first["code"],
        field_path=first["field_path"],
        counts=counts,
        recent=sum(row["recent"] for row in rows),
        first_seen=first["first_seen"],
        last_seen=max(row["last_seen"] for row in rows),
        state=_state(rows, now),
    )


def _state(rows: Sequence[Row], now: datetime) -> str:
    still_open = [row for row in rows if row["status"] == "open"]
    settled = [row for row in rows if row["status"] != "open"]
    last = max(settled, key=lambda row: row["acted_at"], default=None)
    if not still_open:
        return str(last["status"]) if last else "ongoing"
    if last and max(row["last_seen"] for row in still_open) > last["acted_at"]:
        return "regressed"
    acted = any(row["acted_at"] for row in rows)
    is_new = not acted and min(row["first_seen"] for row in rows) >= now - RECENT
    return "new" if is_new else "ongoing"


_SHAPE = pa.schema(
    [
        pa.field("fingerprint", pa.string()),
        pa.field("fingerprint_version", pa.int32()),
        pa.field("stage", pa.string()),
        pa.field("code", pa.string()),
        pa.field("field_path", pa.string()),
        pa.field("status", pa.string()),
        pa.field("rows", pa.int64()),
        pa.field("recent", pa.int64()),
        pa.field("first_seen", TIMESTAMP),
        pa.field("last_seen", TIMESTAMP),
        pa.field("acted_at", TIMESTAMP),
    ]
)
