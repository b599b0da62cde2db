"""The steps that hold expressions, `filter` and `derive`. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stream_processor.processor.expression_tree import ExpressionRefused
from stream_processor.processor.expressions import Expression, evaluate, parse, result_type
from stream_processor.processor.transform_step import (
    Done,
    Keys,
    StepInvalid,
    new_name,
    protection,
    raise_if_any,
    stored_type,
)
from stream_processor.schema import records
from stream_processor.schema.instants import DAY_MICROSECONDS, FIRST_DAY, LAST_DAY
from stream_processor.schema.steps import Derive, Filter

Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True)
class ReadyFilter:
    """Rows for which the condition is true; neither false nor null is."""

    condition: Expression
    output: pa.Schema

    def run(self, rows: pa.RecordBatch) -> Done:
        """See `transform_step.Ready`."""
        ((values, lacking),) = evaluate([self.condition], rows)
        failed = np.flatnonzero(_failing(values, lacking)).tolist()
        true = values.fill_null(pa.scalar(value=False))
        kept = np.flatnonzero(true.to_numpy(zero_copy_only=False))
        rest = rows if len(kept) == rows.num_rows else rows.filter(true)
        return Done(rest, kept, dict.fromkeys(failed, ("filter",)))


def make_filter(step: Filter, columns: pa.Schema) -> ReadyFilter:
    """Raises `StepInvalid`."""
    condition, found = _parsed(step.expression, columns, ("filter",))
    if found != pa.bool_():
        raise StepInvalid([(("filter",), f"expected a condition (true or false), this is {found}")])
    return ReadyFilter(condition, columns)


@dataclass(frozen=True, slots=True)
class ReadyDerive:
    """Columns that are computed; the names are those of `expressions`, in their order."""

    names: tuple[str, ...]
    expressions: tuple[Expression, ...]
    output: pa.Schema

    def run(self, rows: pa.RecordBatch) -> Done:
        """See `transform_step.Ready`."""
        columns = dict(zip(rows.schema.names, rows.columns, strict=True))
        failed: dict[int, tuple[str, ...]] = {}
        for name, (values, lacking) in zip(
            self.names, evaluate(self.expressions, rows), strict=True
        ):
            for index in np.flatnonzero(_failing(values, lacking)).tolist():
                failed[index] = (*failed.get(index, ()), f"derive {name}")
            columns[name] = values.cast(self.output.field(name).type)
        done = pa.RecordBatch.from_arrays(
            [columns[name] for name in self.output.names], schema=self.output
        )
        alive = np.ones(rows.num_rows, np.bool_)
        alive[list(failed)] = False
        return Done(done.filter(pa.array(alive)) if failed else done, np.flatnonzero(alive), failed)


def make_derive(step: Derive, columns: pa.Schema) -> ReadyDerive:
    """Raises `StepInvalid` with what is wrong with each of its columns."""
    expressions: list[Expression] = []
    fields: dict[str, pa.Field] = {}
    problems: list[tuple[Keys, str]] = []
    for name, text in step.columns:
        keys = ("derive", name)
        why = _name_problem(name, columns, list(fields))
        if why is not None:
            problems.append((keys, why))
            continue
        try:
            expression, found = _parsed(text, columns, keys)
        except StepInvalid as error:
            problems += error.problems
            continue
        expressions.append(expression)
        fields[name] = pa.field(name, found)
        problems += _type_problem(keys, found)
    raise_if_any(problems)
    output = _with(columns, {n: pa.field(n, stored_type(f.type)) for n, f in fields.items()})
    return ReadyDerive(tuple(fields), tuple(expressions), output)


def _type_problem(keys: Keys, found: pa.DataType) -> list[tuple[Keys, str]]:
    if stored_type(found) is not None:
        return []
    hint = "; cast it to a type that a column can have"
    if pa.types.is_timestamp(found):
        hint = ": a timestamp without a zone; say which it is, like x AT TIME ZONE 'UTC'"
    return [(keys, f"the table has no type for {found}{hint}")]


def _name_problem(name: str, columns: pa.Schema, others: Sequence[str]) -> str | None:
    beside = [each for each in columns.names if each != name]
    return protection(name) or new_name(name, [*beside, *others])


def _with(columns: pa.Schema, fields: dict[str, pa.Field]) -> pa.Schema:
    """The columns with these put in place or added, in front of those of Kafka."""
    replaced = [fields.pop(field.name, field) for field in columns]
    end = columns.get_field_index(records.KAFKA_TOPIC)
    return pa.schema([*replaced[:end], *fields.values(), *replaced[end:]])


def _parsed(text: str, columns: pa.Schema, keys: Keys) -> tuple[Expression, pa.DataType]:
    try:
        expression = parse(text, columns.names)
        return expression, result_type(expression, columns)
    except ExpressionRefused as error:
        raise StepInvalid([(keys, str(error))]) from error


def _failing(values: pa.Array, lacking: pa.Array | None) -> Mask:
    """Rows without a value, and those whose value no column may hold: no number, or no year."""
    bad = np.zeros(len(values), np.bool_)
    if lacking is not None:
        bad |= lacking.to_numpy(zero_copy_only=False)
    kind = values.type
    if pa.types.is_floating(kind):
        bad |= _false(pc.is_finite(values))
    elif pa.types.is_date32(kind):
        bad |= _outside(values.view(pa.int32()), 1)
    elif pa.types.is_timestamp(kind):
        bad |= _outside(values.view(pa.int64()), DAY_MICROSECONDS)
    return bad


def _outside(numbers: pa.Array, a_day: int) -> Mask:
    first, end = FIRST_DAY * a_day, (LAST_DAY + 1) * a_day
    inside = pc.and_(
        pc.greater_equal(numbers, pa.scalar(first, numbers.type)),
        pc.less(numbers, pa.scalar(end, numbers.type)),
    )
    return _false(inside)


def _false(values: pa.Array) -> Mask:
    found: Mask = ~values.fill_null(pa.scalar(value=True)).to_numpy(zero_copy_only=False)
    return found
