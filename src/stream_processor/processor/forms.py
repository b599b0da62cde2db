"""The simplest forms of each column type: a pattern that tells them, and how a column of them is
converted at once by Arrow.

A form may leave out any text that is right, never take one that is wrong or would convert to
another value: what no form takes goes to `schema.convert`, value by value (and a property test
compares the two). The patterns are RE2, over the exact text of JSON values.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from stream_processor.schema.event import EventField
from stream_processor.schema.instants import EPOCH_MICROSECONDS
from stream_processor.schema.types import TIMESTAMP, ColumnType

Cast = Callable[[pa.StringArray], pa.Array]


class Form(NamedTuple):
    """`pattern` tells which tokens have this form, `cast` converts a column of them and nulls."""

    pattern: str
    cast: Cast


_DATE = (
    r"(?:1[6-9]|2[0-9])[0-9][0-9]-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
    r"|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
)
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?"
_ZONE = r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
_TRUE = pa.scalar("true")

EPOCH_DIGITS = {"epoch_s": 10, "epoch_ms": 13, "epoch_us": 16}
"""Digits of a simple number of each unit: to the year 2286 and back."""

_WORDS = r'"[!#-\[\]-~]+(?: [!#-\[\]-~]+)*"'  # ASCII, and no space that trim or collapse would take
_ASCII_CASE = {"lower": pc.ascii_lower, "upper": pc.ascii_upper}


@lru_cache(maxsize=4096)
def forms(field: EventField, coerce: str) -> tuple[Form, ...]:
    """The forms of one field's tokens; no token has two of them."""
    kind = field.type.kind
    if kind == "timestamp":
        return _timestamp_forms(field, coerce)
    if kind == "string":
        bare = (Form(r"[-0-9tf].*", _as_it_is),) if coerce == "safe" else ()
        return (_string_form(field.normalise), *bare)
    return _OTHERS[kind] if kind in _OTHERS else (_number_form(field.type, coerce),)


def _as_it_is(texts: pa.StringArray) -> pa.Array:
    return texts


def _unquoted(texts: pa.StringArray) -> pa.StringArray:
    return pc.ascii_trim(texts, characters='"')


_OTHERS: dict[str, tuple[Form, ...]] = {
    "boolean": (Form(r"true|false", lambda texts: pc.equal(texts, _TRUE)),),
    "date": (Form(f'"{_DATE}"', lambda texts: _unquoted(texts).cast(pa.date32())),),
    "json": (Form(r"[^n](?s:.*)", _as_it_is),),
    "binary": (),
}


def _string_form(rules: tuple[str, ...]) -> Form:
    cases = [_ASCII_CASE[rule] for rule in rules if rule in _ASCII_CASE]
    if not cases:
        return Form(_WORDS if rules else r'"[^\\]*"', _unquoted)
    # Only the last change of case shows, and the form leaves the other rules nothing to do.
    return Form(_WORDS, lambda texts: cases[-1](_unquoted(texts)))


def _number_form(column: ColumnType, coerce: str) -> Form:
    text = {
        "int": _digits(9),
        "long": _digits(18),
        "float": rf"{_digits(18)}\.[0-9]{{1,20}}|{_digits(7)}",
        "double": rf"{_digits(18)}\.[0-9]{{1,20}}|{_digits(15)}",
        "decimal": _digits(column.precision - column.scale) + _places(column.scale),
    }[column.kind]
    number = f"-?(?:{text})"
    if coerce == "strict" and column.kind != "decimal":
        return Form(number, lambda texts: texts.cast(column.arrow))
    return Form(f'{number}|"{number}"', lambda texts: _unquoted(texts).cast(column.arrow))


def _digits(count: int) -> str:
    """An integer of at most so many digits, without leading zeros."""
    return f"(?:0|[1-9][0-9]{{0,{count - 1}}})" if count else "0"


def _places(scale: int) -> str:
    return rf"(?:\.[0-9]{{1,{scale}}})?" if scale else ""


def _timestamp_forms(field: EventField, coerce: str) -> tuple[Form, ...]:
    found = []
    for name in field.formats:
        if name == "rfc3339":
            stem = f'"{_DATE}[T ]{_TIME}'
            found.append(Form(f'{stem}{_ZONE}"', lambda texts: _unquoted(texts).cast(TIMESTAMP)))
            if field.zone_minutes is not None:
                found.append(Form(f'{stem}"', _in_zone(field.zone_minutes)))
        else:
            found.append(_epoch_form(name, coerce))
    return tuple(found)


def _in_zone(zone_minutes: int) -> Cast:
    shift = pa.scalar(zone_minutes * 60_000_000, pa.int64())

    def cast(texts: pa.StringArray) -> pa.Array:
        local = _unquoted(texts).cast(pa.timestamp("us")).cast(pa.int64())
        return pc.subtract(local, shift).cast(TIMESTAMP)

    return cast


def _epoch_form(unit: str, coerce: str) -> Form:
    number = f"-?{_digits(EPOCH_DIGITS[unit])}"
    factor = pa.scalar(EPOCH_MICROSECONDS[unit], pa.int64())

    def cast(texts: pa.StringArray) -> pa.Array:
        return pc.multiply(_unquoted(texts).cast(pa.int64()), factor).cast(TIMESTAMP)

    return Form(number if coerce == "strict" else f'{number}|"{number}"', cast)
