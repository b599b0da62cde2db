"""Why a selector found nothing: which part of it, and what there is instead.

Called by every verb of `dlq` whose selector matches no dead letter; costs one more pass.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stream_processor.errors import StreamProcessorError
from stream_processor.operations.dlq.letters import DeadLetters
from stream_processor.operations.dlq.selection import ID_DIGITS_MIN, Selector
from stream_processor.schema.display import printable

NEAREST_MAX = 3
_TEXT_LIMIT = 100
_VALUES_MAX = 10_000  # a table has a handful; strangers may have made many names of fields
_ID_DIGITS_SHOWN = 8
_GONE = ("purged", "erased")


def nothing_matched(
    letters: DeadLetters, selector: Selector, until: str = "until"
) -> StreamProcessorError:
    """The error to raise when `selector` found nothing; exit code 1, nearest values in its hint.

    `until` is the option that gave the selector's `until`.
    """
    parts = [
        _Part(part.name, selector, until if part.name == "until" else part.name)
        for part in dataclasses.fields(selector)
        if getattr(selector, part.name) not in (None, ())
    ]
    wanted = {column for part in parts for column in _COLUMNS[part.name]} - {"status"}
    rows = 0
    for batch in letters.read(Selector(), sorted(wanted)):
        rows += batch.num_rows
        for part in parts:
            part.look(pa.Table.from_batches([batch]))
    if not rows:
        return StreamProcessorError(
            f"there are no dead letters in {letters.table.uri}", hint="there is nothing to do"
        )
    return StreamProcessorError(
        "no dead letter matches " + " and ".join(part.said for part in parts),
        hint="\n".join(_gone(letters, selector.ids) or _hints(parts)),
    )


def _gone(letters: DeadLetters, ids: tuple[str, ...]) -> list[str]:
    """Records that were there once; the ledger is never purged."""
    newest = letters.statuses.newest
    gone = newest.filter(pc.is_in(newest["action"], value_set=pa.array(_GONE)))
    return [
        f"{text} was {row['action']} at {_shown(row['at'])}"
        for text in ids
        for row in gone.filter(pc.starts_with(gone["dlq_id"], text)).slice(0, 1).to_pylist()
    ]


def _hints(parts: list[_Part]) -> list[str]:
    """What is nowhere in the table; where everything is, which single part has to go."""
    absent = [part.absence for part in parts if not part.found]
    freeing = [part for part in parts if part.without]
    settled = [part for part in freeing if part.name == "status"]  # the usual reason, if it is one
    return (
        absent
        or [part.freed for part in settled or freeing]
        or ["each of these is true of some dead letter, but not all of one"]
    )


@dataclass(slots=True)
class _Part:
    """One part of a selector: how many rows it matches, and how many match without it."""

    name: str
    selector: Selector
    option: str
    found: int = 0
    without: int = 0
    seen: Counter[Any] = field(default_factory=Counter)

    @property
    def value(self) -> Any:
        return getattr(self.selector, self.name)

    @property
    def said(self) -> str:
        """This part as it is written on the command line."""
        if self.name == "ids":
            return " or ".join(self.value)
        if self.name == "offsets":
            return "--offsets {}-{}".format(*self.value)
        return f"--{self.option} {_shown(self.value)}"

    @property
    def absence(self) -> str:
        near = dict.fromkeys(map(_shown, _NEAREST.get(self.name, _alike)(self.value, self.seen)))
        if self.name == "ids" and not near:
            return f"none has {self.said}; `dlq list --status any` shows all groups"
        return f"none has {self.said}; nearest: {', '.join(near) or 'nothing'}"

    @property
    def freed(self) -> str:
        if self.name != "status":
            return f"{self.without:,} match without {self.said}"
        counts = ", ".join(f"{count:,} {status}" for status, count in self.seen.most_common())
        return f"{self.without:,} have another status ({counts}); --status any takes these"

    def look(self, table: pa.Table) -> None:
        """Take in some rows of the table."""
        alone = Selector(**{self.name: self.value})
        nothing: Any = () if self.name == "ids" else None
        others = _chosen(table, replace(self.selector, **{self.name: nothing}))
        self.found += _chosen(table, alone).num_rows
        self.without += others.num_rows
        values = _VALUES.get(self.name, _counted)
        rows = others if self.name == "status" else table
        for value, count in values(rows, _COLUMNS[self.name][0], self.value):
            if value in self.seen or len(self.seen) < _VALUES_MAX:
                self.seen[value] += count


def _chosen(table: pa.Table, selector: Selector) -> pa.Table:
    expression = selector.expression()
    table = table if expression is None else table.filter(expression)
    if selector.status is None:
        return table
    return table.filter(pc.equal(table["status"], selector.status))


Counts = Iterable[tuple[Any, int]]


def _counted(table: pa.Table, column: str, _value: Any) -> Counts:
    counts = table[column].value_counts().to_pylist()
    return ((each["values"], each["counts"]) for each in counts if each["values"] is not None)


def _around(table: pa.Table, column: str, value: tuple[int, int]) -> Counts:
    """The nearest offsets before and behind the range."""
    offsets, (first, last) = table[column], value
    before = pc.max(offsets.filter(pc.less(offsets, first))).as_py()
    behind = pc.min(offsets.filter(pc.greater(offsets, last))).as_py()
    return ((offset, 1) for offset in (before, behind) if offset is not None)


def _ends(table: pa.Table, column: str, _value: Any) -> Counts:
    ends = pc.min_max(table[column]).as_py()
    return ((moment, 1) for moment in ends.values() if moment is not None)


def _ids(table: pa.Table, _column: str, value: tuple[str, ...]) -> Counts:
    """All groups, and a record of each batch that begins like one of the ids."""
    yield from _counted(table, "fingerprint", value)
    for text in value:
        for length in range(len(text) - 1, ID_DIGITS_MIN - 1, -1):
            begins = pc.index(pc.starts_with(table["dlq_id"], text[:length]), True).as_py()
            if begins >= 0:
                yield table["dlq_id"][begins].as_py(), 1
                break


def _alike(value: str, seen: Counter[str]) -> list[str]:
    """Texts that look like it; where none does, the most frequent ones."""
    near = difflib.get_close_matches(value, list(seen), NEAREST_MAX)
    return near or [text for text, _ in seen.most_common(NEAREST_MAX)]


def _closest(value: Any, seen: Counter[Any]) -> list[Any]:
    """Numbers or times, the closest first."""
    return sorted(seen, key=lambda other: (abs(other - value), other))[:NEAREST_MAX]


def _closest_offsets(value: tuple[int, int], seen: Counter[int]) -> list[int]:
    first, last = value
    before = max((offset for offset in seen if offset < first), default=None)
    behind = min((offset for offset in seen if offset > last), default=None)
    return [offset for offset in (before, behind) if offset is not None]


def _alike_ids(value: tuple[str, ...], seen: Counter[str]) -> list[str]:
    near = [
        text
        for each in value
        for text in difflib.get_close_matches(each, _heads(seen, len(each)), NEAREST_MAX)
    ]
    return [text[: max(_ID_DIGITS_SHOWN, *map(len, value))] for text in near[:NEAREST_MAX]]


def _heads(ids: Iterable[str], digits: int) -> list[str]:
    return sorted({text[:digits] for text in ids})


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds").replace("+00:00", "Z")
    return printable(str(value), _TEXT_LIMIT)


_COLUMNS = {
    "ids": ("dlq_id", "fingerprint"),
    "stage": ("stage",),
    "code": ("code",),
    "field": ("field_path",),
    "since": ("failed_at", "failed_date"),
    "until": ("failed_at", "failed_date"),
    "topic": ("topic",),
    "partition": ("partition",),
    "offsets": ("offset",),
    "status": ("status",),
}
"""What each part of a selector looks at; its values stand in the first of them."""

_VALUES: dict[str, Callable[[pa.Table, str, Any], Counts]] = {
    "ids": _ids,
    "since": _ends,
    "until": _ends,
    "offsets": _around,
}
_NEAREST: dict[str, Callable[[Any, Counter[Any]], list[Any]]] = {
    "ids": _alike_ids,
    "since": _closest,
    "until": _closest,
    "partition": _closest,
    "offsets": _closest_offsets,
}
