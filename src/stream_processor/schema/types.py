"""The column types of a schema file and their Arrow forms (records.md, 3)."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

import pyarrow as pa

TIMESTAMP = pa.timestamp("us", tz="UTC")

ARROW = {
    "string": pa.string(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": TIMESTAMP,
    "binary": pa.binary(),
    "json": pa.string(),
}
"""The types that need no more words, and what stands for them in record batches and tables."""

_DECIMAL = re.compile(r"decimal\( *([0-9]{1,2}) *, *([0-9]{1,2}) *\)")
_NAMES = (*ARROW, "decimal(p,s)")
PRECISION_MAX = 38
"""Digits of the longest decimal: Delta's own limit."""


@dataclass(frozen=True, slots=True)
class ColumnType:
    """One column's type: `kind` is the bare name, precision and scale are 0 but for decimals."""

    kind: str
    precision: int = 0
    scale: int = 0

    def __str__(self) -> str:
        return f"decimal({self.precision},{self.scale})" if self.precision else self.kind

    @property
    def arrow(self) -> pa.DataType:
        """The type of the column in record batches and tables."""
        if self.kind == "decimal":
            return pa.decimal128(self.precision, self.scale)
        return ARROW[self.kind]


def parse_type(text: str) -> ColumnType:
    """The type that a schema file names. Raises ValueError with a sentence for its author."""
    if text in ARROW:
        return ColumnType(text)
    match = _DECIMAL.fullmatch(text)
    if match is None:
        near = difflib.get_close_matches(text, _NAMES, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}" if near else ""
        raise ValueError(f"unknown type; use one of {', '.join(_NAMES)}{hint}")
    precision, scale = int(match[1]), int(match[2])
    if not 1 <= precision <= PRECISION_MAX or scale > precision:
        raise ValueError(f"decimal(p,s) needs p from 1 to {PRECISION_MAX} and s from 0 to p")
    return ColumnType("decimal", precision, scale)
