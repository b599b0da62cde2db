"""Predicates for the Delta library, which takes them as SQL text: made here and nowhere else.

A value only becomes part of the text as a literal of its type. Data that was formatted into SQL
let one hostile Kafka key overwrite all rows of a table (commit protocol, a.11), so whoever deletes
passes a `Predicate`, and only this module makes one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from stream_processor.errors import InternalError

TERMS_MAX = 256
"""Of `any_of`: the library works on a predicate by recursion, and dies of one that is too large."""


@dataclass(frozen=True, slots=True)
class Predicate:
    """A condition on rows. `text` is SQL as the Delta library reads it."""

    text: str


def is_text(column: str, value: str | None) -> Predicate:
    """The column is exactly this text; None is null. Any letters are allowed but NUL."""
    if value is None:
        return Predicate(f"{_name(column)} IS NULL")
    if "\0" in value:
        raise InternalError("a text with a NUL cannot be written into a predicate")
    quoted = value.replace("'", "''")
    return Predicate(f"{_name(column)} = '{quoted}'")


def is_number(column: str, value: int) -> Predicate:
    """The column is exactly this whole number of at most 64 bits."""
    return Predicate(f"{_name(column)} = {_number(value)}")


def between(column: str, first: int, last: int) -> Predicate:
    """The column is one of the whole numbers from `first` to `last`, both included."""
    name = _name(column)
    return Predicate(f"({name} >= {_number(first)} AND {name} <= {_number(last)})")


def is_date(column: str, value: date) -> Predicate:
    """The column is exactly this day."""
    return Predicate(f"{_name(column)} = '{date(value.year, value.month, value.day).isoformat()}'")


def all_of(parts: Sequence[Predicate]) -> Predicate:
    """Every part holds; there must be one."""
    return Predicate("(" + " AND ".join(part.text for part in _some(parts)) + ")")


def any_of(parts: Sequence[Predicate]) -> Predicate:
    """One of the parts holds; there must be one, and at most `TERMS_MAX`."""
    if len(parts) > TERMS_MAX:
        raise InternalError(f"{len(parts)} terms in one predicate, at most {TERMS_MAX} are safe")
    return Predicate("(" + " OR ".join(part.text for part in _some(parts)) + ")")


def _some(parts: Sequence[Predicate]) -> Sequence[Predicate]:
    if not parts:
        raise InternalError("a predicate of no parts would mean every row")
    return parts


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _number(value: int) -> str:
    number = int(value)
    if not -(2**63) <= number < 2**63:
        raise InternalError("a number of more than 64 bits cannot be written into a predicate")
    return str(number)
