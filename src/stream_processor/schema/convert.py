"""From the exact text of one JSON value to the value of a column (records.md, 3).

The judge of last resort: slow, exact, total. `processor.columns` converts whole columns and
leaves to this module every token that is not of the simplest form.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

import msgspec

from stream_processor.schema import instants, numbers
from stream_processor.schema.event import EventField
from stream_processor.schema.normalise import normalise
from stream_processor.schema.values import Failure, Value

Outcome = Value | Failure | None
Converter = Callable[[bytes], Outcome]
"""Takes the text of one valid JSON value; None is null."""

N = TypeVar("N", bound=Value)
_FromText = Callable[[str], Value | Failure]
_NUMERIC = {"int", "long", "float", "double", "decimal"}
_decode_string = msgspec.json.Decoder(str).decode


@lru_cache(maxsize=4096)
def converter(field: EventField, coerce: str) -> Converter:
    """The conversion of one field; `coerce` is `safe` or `strict`."""
    if field.type.kind == "json":
        return _json
    from_string = _string_reader(field, coerce)
    from_token = _token_reader(field, coerce)
    rules = field.normalise

    def convert(token: bytes) -> Outcome:
        if token == b"null":
            return None
        if token[0] != 0x22:
            return from_token(token.decode())
        text = string(token)
        if rules:
            changed = normalise(text, rules)
            if changed is None:
                return None
            text = changed
        return from_string(text)

    return convert


def string(token: bytes) -> str:
    """The value of a valid JSON string."""
    return token[1:-1].decode() if b"\\" not in token else _decode_string(token)


def _json(token: bytes) -> Outcome:
    return None if token == b"null" else token.decode()


def _is_number(token: str) -> bool:
    return token[0] in "-0123456789"


def _string_reader(field: EventField, coerce: str) -> _FromText:
    """How a JSON string becomes a value of the field."""
    kind = field.type.kind
    if kind in _NUMERIC and (coerce == "safe" or kind == "decimal"):
        number = _number_reader(field)
        return lambda text: number(text) if numbers.NUMBER.fullmatch(text) else Failure.TYPE
    if kind == "boolean" and coerce == "safe":
        return _boolean
    if kind == "timestamp":
        return _timestamp_reader(field, coerce)
    plain: dict[str, _FromText] = {
        "string": str,
        "date": _day_or_midnight if coerce == "safe" else instants.day,
        "binary": _base64,
    }
    return plain.get(kind, lambda _text: Failure.TYPE)


def _token_reader(field: EventField, coerce: str) -> _FromText:
    """How any other JSON value but null becomes a value of the field."""
    kind = field.type.kind
    if kind in _NUMERIC:
        number = _number_reader(field)
        if coerce == "strict" and kind in ("int", "long"):
            number = _plain_only(number)
        return lambda token: number(token) if _is_number(token) else Failure.TYPE
    if kind == "string" and coerce == "safe":
        return lambda token: token if token[0] not in "{[" else Failure.TYPE
    if kind == "boolean":
        return _boolean
    if kind == "timestamp":
        return _epoch_reader(field, coerce)
    return lambda _token: Failure.TYPE


def _number_reader(field: EventField) -> _FromText:
    column = field.type
    if column.kind == "decimal":
        return lambda text: numbers.decimal(text, column)
    if column.kind in ("int", "long"):
        return lambda text: numbers.whole(text, column.kind)
    return numbers.single if column.kind == "float" else numbers.double


def _plain_only(number: Callable[[str], N | Failure]) -> Callable[[str], N | Failure]:
    """`strict` takes integers only; a number too long or too large is out of range all the same."""

    def read(token: str) -> N | Failure:
        value = number(token)
        if value is Failure.RANGE or token.lstrip("-").isdigit():
            return value
        return Failure.TYPE

    return read


def _boolean(text: str) -> bool | Failure:
    return text == "true" if text in ("true", "false") else Failure.TYPE


def _day_or_midnight(text: str) -> int | Failure:
    days = instants.day(text)
    return instants.midnight(text) if isinstance(days, Failure) else days


def _long(text: str) -> int | Failure:
    return numbers.whole(text, "long")


def _epoch_unit(field: EventField) -> str | None:
    return next((name for name in field.formats if name != "rfc3339"), None)


def _epoch_reader(field: EventField, coerce: str) -> _FromText:
    unit = _epoch_unit(field)
    if unit is None:
        return lambda _token: Failure.TYPE

    count = _plain_only(_long) if coerce == "strict" else _long

    def read(token: str) -> int | Failure:
        value = count(token) if _is_number(token) else Failure.TYPE
        return value if isinstance(value, Failure) else instants.epoch(value, unit)

    return read


def _timestamp_reader(field: EventField, coerce: str) -> _FromText:
    unit = _epoch_unit(field)
    rfc3339 = "rfc3339" in field.formats

    def read(text: str) -> int | Failure:
        value = instants.timestamp(text, field.zone_minutes) if rfc3339 else Failure.FORMAT
        if value is Failure.FORMAT and unit and coerce == "safe":
            return _epoch_text(text, unit)
        return value

    return read


def _epoch_text(text: str, unit: str) -> int | Failure:
    if numbers.NUMBER.fullmatch(text) is None:
        return Failure.FORMAT
    count = _long(text)
    if isinstance(count, Failure):
        return Failure.FORMAT  # not an epoch at all, so only a string that is not taken
    return instants.epoch(count, unit)


def _base64(text: str) -> bytes | Failure:
    try:
        data = binascii.a2b_base64(text)
    except ValueError:  # binascii.Error, and text that is not ASCII
        return Failure.FORMAT
    # Only the one canonical text of these bytes is taken: alphabet, padding and spare bits at once.
    return data if binascii.b2a_base64(data, newline=False) == text.encode() else Failure.FORMAT
