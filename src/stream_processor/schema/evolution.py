"""What a schema file means for a table that exists: which columns come, stay, or do not fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from stream_processor.schema.types import ARROW

_WORDS = {arrow: name for name, arrow in ARROW.items() if name != "json"}  # which is a string

Kind = Literal["added", "retired", "wider", "type", "case", "not_null", "unfilled"]

BREAKING: frozenset[Kind] = frozenset({"type", "case", "unfilled"})
"""The kinds that a run refuses: Delta has no way from the one to the other that loses nothing."""


@dataclass(frozen=True, slots=True)
class Change:
    """One column in which a table differs from what the schema file makes.

    `complaint` completes "the table ...", `hint` is what happens then or what a person can do.
    """

    kind: Kind
    column: str
    complaint: str
    hint: str

    @property
    def breaking(self) -> bool:
        """Whether a run refuses the table because of it."""
        return self.kind in BREAKING


def changes(table: pa.Schema, wanted: pa.Schema) -> tuple[Change, ...]:
    """Everything in which `table`, as it is, differs from `wanted`; nothing where they agree.

    Called before a table is written, and by `schema diff`. Pure. Columns that are new come as
    `added`: `columns_to_add` has them as fields.
    """
    there = {field.name: field for field in table}
    folded = {name.casefold(): name for name in there}
    found: list[Change] = []
    for field in wanted:
        before = there.pop(field.name, None)
        if before is not None:
            found.extend(_altered(before, field))
        elif (twin := folded.get(field.name.casefold())) is not None:
            there.pop(twin, None)
            found.append(_only_case(twin, field.name))
        else:
            found.append(_added(field))
    found.extend(_retired(field) for field in there.values())
    return tuple(found)


def columns_to_add(table: pa.Schema, wanted: pa.Schema) -> pa.Schema:
    """The fields of `wanted` that the table has not, in their order."""
    return pa.schema([field for field in wanted if field.name not in table.names])


def type_words(column: pa.DataType) -> str:
    """A column's type as a schema file spells it; Arrow's own name of what none can say."""
    if pa.types.is_decimal(column):
        return f"decimal({column.precision},{column.scale})"
    if pa.types.is_timestamp(column) and column.tz is not None:
        return "timestamp"
    return _WORDS.get(column, str(column))


def same_type(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Delta has fewer types than Arrow: a table gives back what it made of ours."""
    return _plain(found) == _plain(wanted)


def _plain(column: pa.DataType) -> str:
    return str(column).replace("element:", "item:").replace(" not null", "")


def _altered(before: pa.Field, field: pa.Field) -> Iterator[Change]:
    was, now = type_words(before.type), type_words(field.type)
    if same_type(before.type, field.type):
        pass
    elif _holds(before.type, field.type):
        yield Change(
            "wider",
            field.name,
            f"has the column {field.name!r} as {was}, wider than the schema file's {now}",
            "it stays as it is: every value fits",
        )
    else:
        yield _other_type(field.name, was, now, widens=_holds(field.type, before.type))
    if field.nullable and not before.nullable:
        yield Change(
            "not_null",
            field.name,
            f"has the column {field.name!r} NOT NULL",
            "events without a value there become dead letters (write.constraint)",
        )


def _other_type(name: str, was: str, now: str, *, widens: bool) -> Change:
    new = f"{name}_{now.partition('(')[0]}"
    why = "Delta cannot widen a column in place" if widens else "no column changes its type"
    return Change(
        "type",
        name,
        f"has the column {name!r} as {was}, the schema file as {now}",
        f"{why}: give the field a new name and read the old key, for example "
        f"{{name: {new}, type: {_quoted(now)}, from: {name}}}; the old column stays, "
        "and is null in new rows",
    )


def _quoted(type_text: str) -> str:
    """As YAML wants it between braces, where a comma ends the value."""
    return f'"{type_text}"' if "," in type_text else type_text


def _only_case(there: str, wanted: str) -> Change:
    return Change(
        "case",
        wanted,
        f"has the column {there!r}, which differs from {wanted!r} only in case",
        f"use the table's spelling: name: {there}, and from: for the key as events spell it",
    )


def _added(field: pa.Field) -> Change:
    return Change(
        "added",
        field.name,
        f"has no column {field.name!r}",
        f"the next start adds it as {type_words(field.type)}; older rows are null there",
    )


def _retired(before: pa.Field) -> Change:
    if before.nullable:
        return Change(
            "retired",
            before.name,
            f"has the column {before.name!r}, which is not in the schema file",
            "it stays, and is null in new rows",
        )
    return Change(
        "unfilled",
        before.name,
        f"has the column {before.name!r} NOT NULL, which the schema file does not fill",
        "add it to the schema file, or drop NOT NULL",
    )


def _holds(wide: pa.DataType, narrow: pa.DataType) -> bool:
    """Whether every value of the narrow type is a value of the wide one, and means the same."""
    if pa.types.is_decimal(wide) and pa.types.is_decimal(narrow):
        spare = (wide.precision - wide.scale) - (narrow.precision - narrow.scale)
        return bool(spare >= 0 and wide.scale >= narrow.scale)
    return (narrow, wide) in {(pa.int32(), pa.int64()), (pa.float32(), pa.float64())}
