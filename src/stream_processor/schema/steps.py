"""The steps of a transform as plain frozen values, in the order in which rows meet them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa

Masking = Literal["sha256", "redact"]


@dataclass(frozen=True, slots=True)
class Filter:
    """Only rows for which the expression is true go on; the others are counted as skipped."""

    expression: str


@dataclass(frozen=True, slots=True)
class Derive:
    """New or replaced columns, each (name, expression); all see the columns before the step."""

    columns: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Rename:
    """(name until now, new name)."""

    names: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Drop:
    """Columns that go."""

    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mask:
    """Columns whose values are hidden, each (name, how). The key is a secret and never shown."""

    columns: tuple[tuple[str, Masking], ...]
    key: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Hook:
    """A function of the user's on record batches; `fingerprint` is the hash of its source."""

    name: str
    fingerprint: str
    call: Callable[[pa.RecordBatch], pa.RecordBatch] = field(repr=False, compare=False)


Step = Filter | Derive | Rename | Drop | Mask | Hook
