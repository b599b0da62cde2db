"""Whole columns from the tokens of many events, and which events fail a field.

The simple forms are converted by Arrow all at once, every other token by `schema.convert`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stream_processor.processor.forms import forms
from stream_processor.processor.reader import Token
from stream_processor.schema.convert import converter
from stream_processor.schema.event import EventField
from stream_processor.schema.pattern import matches
from stream_processor.schema.values import Failure, Value

Rows = np.ndarray[tuple[int], np.dtype[np.bool_]]
Indexes = np.ndarray[tuple[int], np.dtype[np.int64]]

_STORED_AS = {"timestamp": pa.int64(), "date": pa.int32()}


class Column(NamedTuple):
    """One value per event. `failed` says which events fail the field; their values mean nothing.

    `failures` has why the tokens that were converted one by one are no value of the field at all.
    """

    array: pa.Array
    failed: Rows
    failures: Mapping[int, Failure]


class Started(NamedTuple):
    """The values of all tokens that have a simple form, and which ones have.

    Of the others the values are null.
    """

    array: pa.Array
    simple: Rows


class TokenColumn(Protocol):
    """The texts that stand at one path, one per event, as a decoder found them."""

    def texts(self, rows: Indexes) -> list[bytes]:
        """The texts of these events; empty where one is absent."""
        ...

    def started(self, field: EventField, coerce: str) -> Started:
        """The values of the simple ones."""
        ...


class TokenList:
    """Tokens that Python holds one by one."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._texts: pa.StringArray | None = None

    def texts(self, rows: Indexes) -> list[bytes]:
        """The texts of these events."""
        return [bytes(self._tokens[row]) for row in rows.tolist()]

    def started(self, field: EventField, coerce: str) -> Started:
        """By patterns over all of them at once."""
        if self._texts is None:  # two fields may have the same path
            self._texts = _token_array(self._tokens)
        return by_forms(field, coerce, self._texts)


def _token_array(tokens: Sequence[Token]) -> pa.StringArray:
    """The tokens as one Arrow column; an absent one is the empty text."""
    data = b"\0".join(tokens) + b"\0"  # no JSON text holds a zero byte
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == 0)[: len(tokens)]
    offsets = np.zeros(len(tokens) + 1, dtype=np.int32)
    offsets[1:] = ends - np.arange(len(tokens))
    return pa.StringArray.from_buffers(
        len(tokens), pa.py_buffer(offsets), pa.py_buffer(data.replace(b"\0", b""))
    )


def column(field: EventField, coerce: str, tokens: TokenColumn) -> Column:
    """Convert and check one field of all events.

    Every failure found here is one that `exact.Judge` finds too; it then gives the reasons.
    """
    array, simple = tokens.started(field, coerce)
    failed = np.zeros(len(array), dtype=np.bool_)
    failures: dict[int, Failure] = {}
    others = np.flatnonzero(~simple)
    if len(others):
        array = _with_others(field, coerce, tokens, _Open(array, others, failed, failures))
    for bad in _checks(field, array):
        failed |= bad.fill_null(False).to_numpy(zero_copy_only=False)  # noqa: FBT003  # Arrow's own
    if field.on_error == "rescue" and failed.any():
        array = _null_where(failed, array)
    return Column(array, failed, failures)


def _null_where(failed: Rows, array: pa.Array) -> pa.Array:
    if failed.all():
        return pa.nulls(len(array), array.type)
    return pc.if_else(pa.array(failed), pa.scalar(None, array.type), array)


def by_forms(field: EventField, coerce: str, texts: pa.StringArray) -> Started:
    """The simple ones by the patterns of `forms`; an absent token is the empty text."""
    array: pa.Array | None = None
    simple = np.zeros(len(texts), dtype=np.bool_)
    for form in forms(field, coerce):
        mask = pc.match_substring_regex(texts, rf"\A(?:{form.pattern})\z")
        if mask.true_count == len(texts):
            return Started(form.cast(texts), np.ones(len(texts), dtype=np.bool_))
        if not mask.true_count:
            continue
        found = form.cast(pc.if_else(mask, texts, pa.scalar(None, pa.string())))
        array = found if array is None else pc.coalesce(array, found)
        simple |= mask.to_numpy(zero_copy_only=False)
    if array is None:
        array = pa.nulls(len(texts), field.type.arrow)
    return Started(array, simple)


class _Open(NamedTuple):
    """A column with the rows that no form took; `failed` and `failures` are filled in."""

    array: pa.Array
    rows: Indexes
    failed: Rows
    failures: dict[int, Failure]


def _with_others(
    field: EventField, coerce: str, tokens: TokenColumn, still_open: _Open
) -> pa.Array:
    convert = converter(field, coerce)
    rows: list[int] = []
    values: list[Value] = []
    for row, token in zip(still_open.rows.tolist(), tokens.texts(still_open.rows), strict=True):
        outcome = convert(token) if token else field.default
        if isinstance(outcome, Failure):
            still_open.failed[row] = True
            still_open.failures[row] = outcome
        elif outcome is None and field.required:
            still_open.failed[row] = True
        elif outcome is not None:
            rows.append(row)
            values.append(outcome)
    if not rows:
        return still_open.array
    mask = np.zeros(len(still_open.failed), dtype=np.bool_)
    mask[rows] = True
    return pc.replace_with_mask(still_open.array, pa.array(mask), arrow_values(field, values))


def arrow_values(field: EventField, values: Sequence[Value | None]) -> pa.Array:
    """Values in their Python forms (`schema.values`) as a column of the field."""
    stored = _STORED_AS.get(field.type.kind)
    array = pa.array(values, stored or field.type.arrow)
    return array if stored is None else array.cast(field.type.arrow)


def _checks(field: EventField, array: pa.Array) -> list[pa.Array]:
    """For every rule of the field which values break it; null where there is none."""
    broken = []
    if field.enum is not None:
        known = pc.is_in(_one_zero(array), value_set=_one_zero(arrow_values(field, field.enum)))
        broken.append(pc.and_(pc.invert(known), array.is_valid()))
    if field.pattern is not None:
        broken.append(pc.invert(matches(array, field.pattern)))
    if field.minimum is not None:
        broken.append(pc.less(array, _scalar(field, field.minimum)))
    if field.maximum is not None:
        broken.append(pc.greater(array, _scalar(field, field.maximum)))
    return broken


def _one_zero(array: pa.Array) -> pa.Array:
    """Zero and minus zero are equal but not the same to `is_in`."""
    if not pa.types.is_floating(array.type):
        return array
    return pc.add(array, pa.scalar(0, array.type))


def _scalar(field: EventField, value: Any) -> pa.Scalar:
    return arrow_values(field, [value])[0]
