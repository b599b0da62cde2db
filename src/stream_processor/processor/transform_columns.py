"""The steps that take columns as they are: `rename`, `drop` and `mask`. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from stream_processor.processor.transform_step import (
    NAMED_BY_US,
    Done,
    Keys,
    all_kept,
    changeable,
    new_name,
    raise_if_any,
)
from stream_processor.schema.steps import Drop, Mask, Masking, Rename

REDACTED = "***"
KEY_BYTES_MIN = 16

_HASHED = (pa.string(), pa.int32(), pa.int64(), pa.binary())


@dataclass(frozen=True, slots=True)
class ReadyColumns:
    """`rename` and `drop`: the columns of `sources` under the names of `output`."""

    sources: tuple[str, ...]
    output: pa.Schema

    def run(self, rows: pa.RecordBatch) -> Done:
        """See `transform_step.Ready`."""
        chosen = [rows.column(name) for name in self.sources]
        return all_kept(pa.RecordBatch.from_arrays(chosen, schema=self.output))


def make_rename(step: Rename, columns: pa.Schema) -> ReadyColumns:
    """Raises `StepInvalid`. All names change at once, so two may be exchanged."""
    new_names = dict(step.names)
    problems = list(changeable(((("rename", old), old) for old in new_names), columns))
    rest = [name for name in columns.names if name not in new_names]
    for old, new in step.names:
        why = new_name(new, rest)
        if old in NAMED_BY_US:
            why = f"{old} is a column of ours, and keeps its name"
        if why is not None:
            problems.append((("rename", old), why))
        rest.append(new)
    raise_if_any(problems)
    fields = [field.with_name(new_names.get(field.name, field.name)) for field in columns]
    return ReadyColumns(tuple(columns.names), pa.schema(fields))


def make_drop(step: Drop, columns: pa.Schema) -> ReadyColumns:
    """Raises `StepInvalid`."""
    named = ((("drop", index), name) for index, name in enumerate(step.columns))
    raise_if_any(changeable(named, columns))
    rest = [field for field in columns if field.name not in step.columns]
    return ReadyColumns(tuple(field.name for field in rest), pa.schema(rest))


@dataclass(frozen=True, slots=True)
class ReadyMask:
    """Values that are hidden: by a keyed hash, which joins like the value did, or whole."""

    step: Mask
    output: pa.Schema

    def run(self, rows: pa.RecordBatch) -> Done:
        """See `transform_step.Ready`."""
        hows = dict(self.step.columns)
        masked = [
            self._masked(column, hows.get(name))
            for name, column in zip(rows.schema.names, rows.columns, strict=True)
        ]
        return all_kept(pa.RecordBatch.from_arrays(masked, schema=self.output))

    def _masked(self, values: pa.Array, how: Masking | None) -> pa.Array:
        if how is None:
            return values
        if how == "sha256":
            return hashed(values, self.step.key)
        if values.type == pa.string():
            return pc.if_else(values.is_valid(), REDACTED, pa.scalar(None, pa.string()))
        return pa.nulls(len(values), values.type)


def make_mask(step: Mask, columns: pa.Schema) -> ReadyMask:
    """Raises `StepInvalid`."""
    named = ((("mask", name), name) for name, _ in step.columns)
    raise_if_any((*changeable(named, columns), *_mask_problems(step, columns)))
    fields = dict(step.columns)
    return ReadyMask(
        step,
        pa.schema(
            [
                field.with_type(pa.string()) if fields.get(field.name) == "sha256" else field
                for field in columns
            ]
        ),
    )


def _mask_problems(step: Mask, columns: pa.Schema) -> Iterator[tuple[Keys, str]]:
    hashes = [name for name, how in step.columns if how == "sha256"]
    if hashes and len(step.key) < KEY_BYTES_MIN:
        yield ("key",), f"sha256 needs a key of at least {KEY_BYTES_MIN} bytes, best of 32"
    for name in hashes:
        if name in columns.names and columns.field(name).type not in _HASHED:
            found = columns.field(name).type
            hint = f"derive a text first, like CAST({name} AS VARCHAR)"
            yield ("mask", name), f"text, binary and whole numbers are hashed, not {found}; {hint}"


def hashed(values: pa.Array, key: bytes) -> pa.StringArray:
    """HMAC-SHA-256 of each value's bytes (of a number its digits) as 64 hex digits; null stays."""
    texts = values if values.type == pa.binary() else values.cast(pa.string()).cast(pa.binary())
    distinct = texts.dictionary_encode()
    digests = [hmac.digest(key, value, "sha256").hex() for value in distinct.dictionary.to_pylist()]
    return pa.array(digests, pa.string()).take(distinct.indices)
