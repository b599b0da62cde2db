"""What every step of a transform has in common: its outcome, and what no step may do. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from stream_processor.schema import records
from stream_processor.schema.compile import name_refusal
from stream_processor.schema.types import TIMESTAMP

Indexes = np.ndarray[tuple[int], np.dtype[np.int64]]
Keys = tuple[str | int, ...]

PROTECTED = (
    *records.ROW_IDENTITY,
    records.KAFKA_TIMESTAMP,
    records.INGESTED_AT,
)
"""Which event a row is, and when it came: steps may read these columns, never change them."""

NAMED_BY_US = (records.RESCUED, records.KAFKA_KEY, records.KAFKA_HEADERS)
"""Steps may change or drop these columns of ours, but give no column such a name."""


class StepInvalid(Exception):
    """A step that cannot work on the columns that it meets: (keys below the step, sentence)."""

    def __init__(self, problems: Iterable[tuple[Keys, str]]) -> None:
        super().__init__()
        self.problems = tuple(problems)


class Done(NamedTuple):
    """What became of the rows of a step, by their indexes in what it was given.

    `rows` are those of `kept`, in their order; `failed` says which parts of the step had no value
    for a row, like `derive total`; what is in neither was filtered out.
    """

    rows: pa.RecordBatch
    kept: Indexes
    failed: Mapping[int, tuple[str, ...]]


class Ready(Protocol):
    """A step that was made for the columns before it."""

    @property
    def output(self) -> pa.Schema:
        """The columns behind it."""

    def run(self, rows: pa.RecordBatch) -> Done:
        """Never raises for what an event holds."""


def all_kept(rows: pa.RecordBatch) -> Done:
    """The outcome of a step that loses nothing."""
    return Done(rows, np.arange(rows.num_rows), {})


def raise_if_any(problems: Iterable[tuple[Keys, str]]) -> None:
    """Raise `StepInvalid` with all of them."""
    found = tuple(problems)
    if found:
        raise StepInvalid(found)


def changeable(names: Iterable[tuple[Keys, str]], columns: pa.Schema) -> Iterator[tuple[Keys, str]]:
    """What is wrong with columns that a step wants to change: each with the key that names it."""
    for keys, name in names:
        if name not in columns.names:
            yield keys, f"there is no column {name}; there are {', '.join(columns.names)}"
        elif (why := protection(name)) is not None:
            yield keys, why


def protection(name: str) -> str | None:
    """Why no step may change the column; None if it may."""
    if name in PROTECTED:
        return f"{name} says which event a row is, and cannot be changed"
    return None


def new_name(name: str, others: Iterable[str]) -> str | None:
    """Why a column cannot be called so beside the others; None if it can."""
    refusal = name_refusal(name)
    if refusal is not None:
        return refusal
    folded = {other.casefold(): other for other in others}
    other = folded.get(name.casefold())
    if other is None:
        return None
    return f"there is a column {other} already" + (
        "" if other == name else ", and names that differ only in case are one to many engines"
    )


_WIDER = {
    pa.int8(): pa.int32(),
    pa.int16(): pa.int32(),
    pa.uint8(): pa.int32(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.large_string(): pa.string(),
    pa.large_binary(): pa.binary(),
}
_KEPT = (
    pa.string(),
    pa.int32(),
    pa.int64(),
    pa.float32(),
    pa.float64(),
    pa.bool_(),
    pa.date32(),
    pa.binary(),
    TIMESTAMP,
)


def stored_type(found: pa.DataType) -> pa.DataType | None:
    """The type of the column that holds such values, or None where the table has none for them."""
    if found in _KEPT or pa.types.is_decimal128(found):
        return found
    return _WIDER.get(found)
