"""Values of columns on their way from JSON, and why one may not become a value.

Python forms: str, bool, bytes, `Decimal`, float; int for int and long, for a date (days since
1970-01-01) and for a timestamp (microseconds since then, UTC).
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

Value = str | bool | int | float | Decimal | bytes


class Failure(Enum):
    """Why a token is not a value of its column; the value is the error code (records.md, 4)."""

    TYPE = "field.type"
    RANGE = "field.range"
    FORMAT = "field.format"
