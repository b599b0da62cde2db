"""The schema file (records.md, 7) as typed, frozen values."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field

from stream_processor.config.pipeline import Model

Scalar = str | bool | int | float | Decimal | None


class FieldSpec(Model):
    """One column and how it is read from the event."""

    name: str
    type: str  # string int long float double decimal(p,s) boolean date timestamp binary json
    description: str | None = None
    required: bool = False
    from_: str | None = Field(default=None, alias="from")
    default: Scalar = None
    normalise: tuple[
        Literal["trim", "lower", "upper", "collapse_spaces", "empty_to_null"], ...
    ] = ()
    on_error: Literal["dead_letter", "rescue"] = "dead_letter"
    enum: tuple[Scalar, ...] | None = None
    minimum: Scalar = None
    maximum: Scalar = None
    pattern: str | None = None
    formats: tuple[Literal["rfc3339", "epoch_s", "epoch_ms", "epoch_us"], ...] = ("rfc3339",)
    timezone: str | None = None


class SchemaFile(Model):
    """A lightweight schema: only the critical fields."""

    version: Literal[1]
    name: str
    fields: tuple[FieldSpec, ...]
