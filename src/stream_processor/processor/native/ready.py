"""Tokens in memory as typed columns: in C where it knows the type, else by the patterns."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from stream_processor.processor.columns import Indexes, Rows, Started, by_forms
from stream_processor.processor.forms import EPOCH_DIGITS
from stream_processor.processor.native.library import (
    InstantForm,
    NumberForm,
    StringForm,
    TokenColumn,
    address,
    library,
)
from stream_processor.processor.native.scanner import (
    Places,
    Text,
    Tokens,
    string_array,
    validity,
)
from stream_processor.schema.event import EventField
from stream_processor.schema.instants import EPOCH_MICROSECONDS
from stream_processor.schema.types import TIMESTAMP

_OPEN, _VALUE = 0, 1
"""States of a token, as in `column.h`."""
_RULES = ("trim", "lower", "upper", "collapse_spaces", "empty_to_null")
"""By their numbers, as in `texts.c`."""

_WHOLE_DIGITS = {"int": 9, "long": 18}
_DECIMAL_DIGITS_MAX = 18

_States = np.ndarray[tuple[int], np.dtype[np.uint8]]


class Found(NamedTuple):
    """The tokens of one path where they stand in the events; a `columns.TokenColumn`."""

    text: Text
    tokens: Tokens

    def texts(self, rows: Indexes) -> list[bytes]:
        """The exact texts of these tokens, empty where one is absent."""
        data = memoryview(self.text.owner)
        starts = self.tokens.starts[rows].tolist()
        sizes = self.tokens.sizes[rows].tolist()
        return [bytes(data[at : at + size]) for at, size in zip(starts, sizes, strict=True)]

    def started(self, field: EventField, coerce: str) -> Started:
        """The values of the simple tokens."""
        kind = field.type.kind
        if kind == "string":
            return _strings(self, field, coerce)
        if kind == "timestamp":
            return _instants(self, field, coerce)
        if kind in _WHOLE_DIGITS:
            form = NumberForm(_WHOLE_DIGITS[kind], 0, coerce == "safe")
            return _whole_numbers(self, field, form)
        if kind == "decimal" and field.type.precision <= _DECIMAL_DIGITS_MAX:
            return _decimals(self, field)
        return by_forms(field, coerce, self.gathered())

    def gathered(self) -> pa.StringArray:
        """All tokens as one Arrow column; an absent one is the empty text."""
        column, _ = _column(self, nullable=0)
        texts, bounds = _room(self.tokens.sizes)
        library().gather_tokens(column, address(texts), len(texts), address(bounds))
        return string_array(texts, bounds, np.ones(len(bounds) - 1, np.bool_))


def _room(sizes: Places) -> tuple[np.ndarray[Any, np.dtype[np.uint8]], Places]:
    """For texts no longer than their tokens, and where each of them begins and ends."""
    return np.empty(int(sizes.sum()) + 1, np.uint8), np.empty(len(sizes) + 1, np.int32)


def _column(found: Found, nullable: int) -> tuple[TokenColumn, _States]:
    """The tokens as the library wants them, and the states that it fills in."""
    starts, sizes, kinds = found.tokens
    states = np.empty(len(starts), np.uint8)
    column = TokenColumn(
        data=found.text.address,
        data_bytes=found.text.nbytes,
        starts=address(starts),
        sizes=address(sizes),
        kinds=address(kinds),
        rows=len(starts),
        is_nullable=nullable,
        states=address(states),
    )
    return column, states


def _nullable(field: EventField) -> int:
    """Whether no value at all is a value of the field, and that is null."""
    return int(not field.required and field.default is None)


def _strings(found: Found, field: EventField, coerce: str) -> Started:
    rules = np.array([_RULES.index(rule) for rule in field.normalise], np.uint8)
    form = StringForm(address(rules), len(rules), coerce == "safe")
    column, states = _column(found, _nullable(field))
    texts, bounds = _room(found.tokens.sizes)
    library().convert_strings(column, form, address(texts), len(texts), address(bounds))
    return Started(string_array(texts, bounds, states == _VALUE), states != _OPEN)


def _instants(found: Found, field: EventField, coerce: str) -> Started:
    unit = next((name for name in field.formats if name in EPOCH_DIGITS), None)
    form = InstantForm(
        takes_rfc3339="rfc3339" in field.formats,
        zone_minutes=field.zone_minutes or 0,
        has_zone=field.zone_minutes is not None,
        takes_epoch=unit is not None,
    )
    if unit is not None:
        form.epoch_microseconds = EPOCH_MICROSECONDS[unit]
        form.epoch = NumberForm(EPOCH_DIGITS[unit], 0, coerce == "safe")
    column, states = _column(found, _nullable(field))
    values = np.empty(len(states), np.int64)
    library().convert_instants(column, form, address(values))
    return _started(TIMESTAMP, values, states)


def _whole_numbers(found: Found, field: EventField, form: NumberForm) -> Started:
    column, states = _column(found, _nullable(field))
    values = np.empty(len(states), np.int64)
    library().convert_numbers(column, form, 1, address(values))
    if field.type.kind == "int":
        return _started(field.type.arrow, values.astype(np.int32), states)
    return _started(field.type.arrow, values, states)


def _decimals(found: Found, field: EventField) -> Started:
    kind = field.type
    column, states = _column(found, _nullable(field))
    values = np.empty(2 * len(states), np.int64)
    form = NumberForm(kind.precision - kind.scale, kind.scale, 1)
    library().convert_numbers(column, form, 2, address(values))
    return _started(kind.arrow, values, states)


def _started(arrow: pa.DataType, values: np.ndarray[Any, Any], states: _States) -> Started:
    bits, nulls = validity(states == _VALUE)
    array = pa.Array.from_buffers(arrow, len(states), [bits, pa.py_buffer(values)], nulls)
    simple: Rows = states != _OPEN
    return Started(array, simple)
