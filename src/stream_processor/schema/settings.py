"""The values that a schema file sets for a field: do they fit it, and each other?"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa

from stream_processor.config.fields import FieldSpec, Scalar
from stream_processor.schema import instants, pattern
from stream_processor.schema.convert import converter
from stream_processor.schema.event import EventField
from stream_processor.schema.types import ColumnType
from stream_processor.schema.values import Failure, Value

Found = tuple[str | None, str]

_ORDERED = {"int", "long", "float", "double", "decimal", "date", "timestamp"}
_ALL = _ORDERED | {"string", "boolean", "binary", "json"}
_MEANT_FOR = {
    "normalise": _ALL - {"json"},  # json keeps its exact text
    "enum": _ALL - {"json", "binary"},
    "minimum": _ORDERED,
    "maximum": _ORDERED,
    "pattern": {"string"},
    "formats": {"timestamp"},
    "timezone": {"timestamp"},
}


def misplaced(spec: FieldSpec, column: ColumnType) -> Iterator[Found]:
    """Keys that mean nothing for the type, and formats or zones that contradict themselves."""
    for key, kinds in _MEANT_FOR.items():
        is_set = key in spec.model_fields_set and getattr(spec, key) is not None
        if is_set and column.kind not in kinds:
            yield key, f"means nothing for {column}"
    if not spec.formats:
        yield "formats", "name at least one format"
    if len(set(spec.formats) - {"rfc3339"}) > 1:
        yield "formats", "two epochs on one field cannot be told apart"
    if spec.timezone is not None:
        if spec.timezone.lower() == "z" or instants.offset_minutes(spec.timezone) is None:
            yield "timezone", "use UTC or a fixed offset like +02:00"
        if "rfc3339" not in spec.formats:
            yield "timezone", "means nothing without the format rfc3339"


def with_values(bare: EventField, spec: FieldSpec) -> tuple[EventField, list[Found]]:
    """The field with its default, enum and bounds as values of the column, and what is wrong."""
    found: list[Found] = []
    values: dict[str, Any] = {
        key: _value(bare, key, getattr(spec, key), found)
        for key in ("default", "minimum", "maximum")
    }
    values["enum"] = _enum(bare, spec, found)
    field = dataclasses.replace(bare, **values)
    if not found:
        found.extend(_contradictions(field, spec))
    return field, found


def _enum(bare: EventField, spec: FieldSpec, found: list[Found]) -> tuple[Value, ...] | None:
    if spec.enum is None:
        return None
    if not spec.enum:
        found.append(("enum", "name at least one value"))
    values = []
    for item in spec.enum:
        if item is None:
            found.append(("enum", "null is no value; leave the field optional instead"))
        value = _value(bare, "enum", item, found)
        if value is not None:
            values.append(value)
    return tuple(dict.fromkeys(values))


def _value(bare: EventField, key: str, setting: Scalar, found: list[Found]) -> Value | None:
    """A setting goes the way of an event's value, by the strict rules and without normalise."""
    if setting is None or bare.type.kind not in _MEANT_FOR.get(key, _ALL):
        return None
    if isinstance(setting, str) and bare.type.kind == "json" and not _is_json(setting):
        found.append((key, "write JSON text in quotes"))
        return None
    plain = dataclasses.replace(bare, normalise=())
    token = setting if bare.type.kind == "json" else _token(setting)
    outcome = converter(plain, "strict")(str(token).encode()) if token is not None else Failure.TYPE
    if isinstance(outcome, Failure):
        quotes = "; put it in quotes" if bare.type.kind == "string" else ""
        found.append((key, f"does not fit {bare.expected}{quotes}"))
        return None
    return outcome


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _token(setting: Scalar) -> str | None:
    """The setting as the text of a JSON value; None when JSON has none for it (nan, inf)."""
    if isinstance(setting, str):
        return json.dumps(setting)
    if isinstance(setting, bool):
        return "true" if setting else "false"
    if isinstance(setting, float) and not math.isfinite(setting):
        return None
    if isinstance(setting, Decimal) and not setting.is_finite():
        return None
    return str(setting)


def _contradictions(field: EventField, spec: FieldSpec) -> Iterator[Found]:
    """Settings that fit the type but not each other."""
    low: Any = field.minimum
    high: Any = field.maximum
    if low is not None and high is not None and low > high:
        yield "maximum", "is below the minimum"
    for value in field.enum or ():
        if why := _unreachable(field, value):
            yield "enum", why
    if spec.default is None or field.default is None:
        return
    if field.enum is not None and field.default not in field.enum:
        yield "default", "is not among the values of enum"
    elif why := _unreachable(field, field.default):
        yield "default", why


def _unreachable(field: EventField, value: Any) -> str | None:
    """Why no event could bring this value; the caller names the key."""
    if field.minimum is not None and value < field.minimum:
        return "is below the minimum"
    if field.maximum is not None and value > field.maximum:
        return "is above the maximum"
    if field.pattern is None or not isinstance(value, str):
        return None  # a pattern of another type is refused elsewhere
    if pattern.refusal(field.pattern) is not None:
        return None
    one = pa.array([value], pa.string())
    return None if pattern.matches(one, field.pattern)[0].as_py() else "does not match the pattern"
