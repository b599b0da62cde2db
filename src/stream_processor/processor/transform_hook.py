"""The step that is a function of the user's: `python: module:function`.

The one step that is only as pure as its author made it. It sees whole batches, and where it raises
or gives back what does not fit, it is asked again with every row by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from stream_processor.processor.transform_step import (
    NAMED_BY_US,
    PROTECTED,
    Done,
    Keys,
    StepInvalid,
    all_kept,
    new_name,
    raise_if_any,
    stored_type,
)
from stream_processor.schema.steps import Hook

_KEYS = ("python",)


class _Unfit(Exception):
    """What came back is not a batch of the same events with the columns of the plan."""


@dataclass(frozen=True, slots=True)
class ReadyHook:
    """The function, and the columns that it gave for no rows."""

    hook: Hook
    output: pa.Schema

    def run(self, rows: pa.RecordBatch) -> Done:
        """See `transform_step.Ready`."""
        whole = self._try(rows)
        if whole is not None:
            return all_kept(whole)
        each = [self._try(rows.slice(index, 1)) for index in range(rows.num_rows)]
        kept = [index for index, row in enumerate(each) if row is not None]
        failed = dict.fromkeys(set(range(len(each))) - {*kept}, (f"python {self.hook.name}",))
        found = [row for row in each if row is not None]
        rest = pa.concat_batches(found) if found else no_rows(self.output)
        return Done(rest, np.array(kept, np.int64), failed)

    def _try(self, rows: pa.RecordBatch) -> pa.RecordBatch | None:
        try:
            return self._fitting(rows, self.hook.call(rows))
        except MemoryError:
            raise  # says nothing of the event
        except Exception:  # noqa: BLE001 - it is the user's code: whatever it raises is its answer
            return None

    def _fitting(self, rows: pa.RecordBatch, given: pa.RecordBatch) -> pa.RecordBatch:
        if given.num_rows != rows.num_rows or set(given.schema.names) != set(self.output.names):
            raise _Unfit
        for name in PROTECTED:
            if not given.column(name).equals(rows.column(name)):
                raise _Unfit
        chosen = given.select(self.output.names)
        return pa.RecordBatch.from_arrays(
            [
                column.cast(field.type)
                for column, field in zip(chosen.columns, self.output, strict=True)
            ],
            schema=self.output,
        )


def make_hook(step: Hook, columns: pa.Schema) -> ReadyHook:
    """Called with no rows at the start, since what comes back tells the columns behind it.

    Raises `StepInvalid`.
    """
    try:
        given = step.call(no_rows(columns))
    except Exception as error:
        why = f"{step.name} was called with no rows and raised {type(error).__name__}"
        raise StepInvalid([(_KEYS, why)]) from error
    if not isinstance(given, pa.RecordBatch) or given.num_rows:
        why = f"{step.name} was called with no rows and did not give back a batch of no rows"
        raise StepInvalid([(_KEYS, why)])
    raise_if_any(_problems(given.schema, columns))
    fields = [
        columns.field(field.name)
        if field.name in columns.names and columns.field(field.name).type == field.type
        else pa.field(field.name, stored_type(field.type))
        for field in given.schema
    ]
    return ReadyHook(step, pa.schema(fields))


def _problems(given: pa.Schema, columns: pa.Schema) -> Iterator[tuple[Keys, str]]:
    for name in PROTECTED:
        if name not in given.names or given.field(name).type != columns.field(name).type:
            yield _KEYS, f"{name} says which event a row is, and must be given back as it came"
    for place, field in enumerate(given):
        if field.name in (*PROTECTED, *NAMED_BY_US) and field.name in columns.names:
            continue
        why = new_name(field.name, given.names[:place])
        if why is not None:
            yield _KEYS, f"column {field.name}: {why}"
        elif field.type not in (*columns.types, stored_type(field.type)):
            yield _KEYS, f"column {field.name}: the table has no type for {field.type}"


def no_rows(columns: pa.Schema) -> pa.RecordBatch:
    """An empty batch of these columns."""
    return pa.RecordBatch.from_pylist([], schema=columns)
