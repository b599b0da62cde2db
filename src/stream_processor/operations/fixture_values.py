"""Values of fixture files and values of tables, brought together by the type of the column."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from types import UnionType
from typing import Any

import pyarrow as pa

from stream_processor.operations.try_payloads import plain
from stream_processor.schema.display import printable

_SHOWN_MAX = 200


def json_bytes(value: Any) -> bytes:
    """A value of a fixture file as the event that it stands for; numbers keep their digits.

    Text is the event itself; anything else is written as compact JSON.
    """
    return value.encode() if isinstance(value, str) else _json(value).encode()


def _json(value: Any) -> str:
    # Recursion is bounded: the reader of files refuses what is nested deeper than its DEPTH_MAX.
    if isinstance(value, dict):
        members = (f"{_json(name)}:{_json(item)}" for name, item in value.items())
        return f"{{{','.join(members)}}}"
    if isinstance(value, tuple):
        return f"[{','.join(map(_json, value))}]"
    if isinstance(value, Decimal):
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def column_value(value: Any, kind: pa.DataType) -> Any:
    """A value that a fixture expects, as the column holds it.

    Raises ValueError with the words for its author, which never hold the value.
    """
    if value is None:
        return None
    if pa.types.is_list(kind):
        return [column_value(item, kind.value_type) for item in _of(tuple, "a list", value)]
    if pa.types.is_struct(kind):
        return _struct(value, kind)
    for matches, convert in _SCALARS:
        if matches(kind):
            return convert(value, kind)
    return value


def shown(value: Any) -> str:
    """A value in a difference: text in quotes, everything else bare, all of it printable."""
    if isinstance(value, str | list | dict | None):
        return printable(json.dumps(plain(value), ensure_ascii=False), _SHOWN_MAX)
    if isinstance(value, bool):
        return "true" if value else "false"
    return printable(str(plain(value)), _SHOWN_MAX)


def _struct(value: Any, kind: pa.DataType) -> dict[str, Any]:
    given = _of(dict, "names and values", value)
    types = {kind.field(index).name: kind.field(index).type for index in range(kind.num_fields)}
    if unknown := [name for name in given if name not in types]:
        raise ValueError(f"expected only {', '.join(types)}, found {unknown[0]}")
    return {name: column_value(given.get(name), each) for name, each in types.items()}


def _of(kind: type | UnionType, words: str, value: Any) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"expected {words}")
    return value


def _decimal(value: Any, _kind: pa.DataType) -> Decimal:
    words = "a number, or text that holds one"
    try:
        return Decimal(_of(int | Decimal | str, words, value))
    except InvalidOperation as error:
        raise ValueError(f"expected {words}") from error


def _integer(value: Any, _kind: pa.DataType) -> int:
    number = _of(int | Decimal, "a whole number", value)
    if number % 1:
        raise ValueError("expected a whole number")
    return int(number)


def _floating(value: Any, kind: pa.DataType) -> float:
    number = float(_of(int | Decimal, "a number", value))
    return float(pa.scalar(number, kind).as_py())  # the nearest that the column can hold


def _timestamp(value: Any, _kind: pa.DataType) -> datetime:
    try:
        moment = datetime.fromisoformat(_of(str, "text", value))
    except ValueError as error:
        raise ValueError("expected a time like 2026-11-20T09:00:00Z") from error
    if moment.tzinfo is None:
        raise ValueError("expected a time with an offset, like 2026-11-20T09:00:00Z")
    return moment


def _date(value: Any, _kind: pa.DataType) -> date:
    try:
        return date.fromisoformat(_of(str, "text", value))
    except ValueError as error:
        raise ValueError("expected a date like 2026-11-20") from error


def _binary(value: Any, _kind: pa.DataType) -> bytes:
    try:
        return base64.b64decode(_of(str, "text", value), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("expected base64") from error


_SCALARS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[Any, pa.DataType], Any]], ...] = (
    (pa.types.is_decimal, _decimal),
    (pa.types.is_integer, _integer),
    (pa.types.is_floating, _floating),
    (pa.types.is_timestamp, _timestamp),
    (pa.types.is_date, _date),
    (pa.types.is_binary, _binary),
    (pa.types.is_boolean, lambda value, _kind: _of(bool, "true or false", value)),
    (pa.types.is_string, lambda value, _kind: _of(str, "text; a number needs quotes", value)),
)
