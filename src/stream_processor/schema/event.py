"""A compiled schema: what an event means, as plain frozen values that travel to any engine."""

from __future__ import annotations

from dataclasses import dataclass

from stream_processor.schema.paths import Path
from stream_processor.schema.types import ColumnType
from stream_processor.schema.values import Value


@dataclass(frozen=True, slots=True)
class EventField:
    """One column, how it is read and what it must satisfy. Made by `compile_schema` only.

    `path_text` is the path as a person writes it; `zone_minutes` stands in for a missing offset
    of a timestamp; `default`, `enum`, `minimum` and `maximum` are values of the column.
    """

    name: str
    type: ColumnType
    path: Path
    path_text: str
    required: bool = False
    description: str | None = None
    default: Value | None = None
    normalise: tuple[str, ...] = ()
    on_error: str = "dead_letter"
    enum: tuple[Value, ...] | None = None
    minimum: Value | None = None
    maximum: Value | None = None
    pattern: str | None = None
    formats: tuple[str, ...] = ("rfc3339",)
    zone_minutes: int | None = None

    @property
    def expected(self) -> str:
        """What a dead letter says was expected of the JSON value."""
        if self.type.kind == "timestamp":
            return f"timestamp as {' or '.join(self.formats)}"
        return str(self.type)


@dataclass(frozen=True, slots=True)
class EventSchema:
    """All fields in the order of the file. `schema_hash` is the same for the same rules."""

    name: str
    version: str
    fields: tuple[EventField, ...]
    schema_hash: str
