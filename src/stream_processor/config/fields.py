"""The schema file (records.md, 7) as typed, frozen values."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field

from stream_processor.config.model import Model

Scalar = str | bool | int | float | Decimal | None


class FieldSpec(Model):
    """One column and how it is read from the event."""

    name: str
    """Name of the column."""
    type: str
    """`string`, `int`, `long`, `float`, `double`, `decimal(p,s)`, `boolean`, `date`, `timestamp`,
    `binary` (base64) or `json` (kept as its text)."""
    description: str | None = None
    """For people; becomes the comment of the column."""
    required: bool = False
    """An event without it, or with null, is a dead letter."""
    from_: str | None = Field(default=None, alias="from")
    """Where the value is in the event: a dotted path like `created.at` or `items[0].sku`; the
    name if absent."""
    default: Scalar = None
    """Value of an optional field that the event does not have."""
    normalise: tuple[
        Literal["trim", "lower", "upper", "collapse_spaces", "empty_to_null"], ...
    ] = ()
    """What is done to text before anything else, in this order."""
    on_error: Literal["dead_letter", "rescue"] = "dead_letter"
    """What a bad value costs: the row, or (`rescue`) only this field, whose text is kept in
    `_rescued`."""
    enum: tuple[Scalar, ...] | None = None
    """The only values that are taken."""
    minimum: Scalar = None
    """The least value that is taken."""
    maximum: Scalar = None
    """The greatest value that is taken."""
    pattern: str | None = None
    """Regular expression (RE2) that the whole text must match."""
    formats: tuple[Literal["rfc3339", "epoch_s", "epoch_ms", "epoch_us"], ...] = ("rfc3339",)
    """How a timestamp may be written; at most one of the epochs."""
    timezone: str | None = None
    """Zone of a timestamp without an offset: `UTC` or an offset like `+02:00`; refused if
    absent."""


class SchemaFile(Model):
    """A lightweight schema: only the critical fields."""

    version: Literal[1]
    """Version of this file format: `1`."""
    name: str
    """What people call it."""
    fields: tuple[FieldSpec, ...]
    """The fields that matter, in the order of their columns."""
