"""The rules that an existing table has of its own, NOT NULL and CHECK, asked for each row.

The Delta library refuses a whole write because of one row and does not say which. So it is asked
before: the rows' columns that a rule speaks of go into a scratch table on this machine, from which
the library deletes what does not hold. It is the library that would refuse, so both agree on every
expression, also where it reads one otherwise than another engine would.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError

from stream_processor.errors import TableRefused
from stream_processor.schema.table_rules import Broken
from stream_processor.sinks.delta_errors import mapped

_CHECK = "delta.constraints."
_INVARIANT = b"delta.invariants"
_ROW = "__stream_processor_row"
_SCRATCH = "the scratch table for the rules of a table (in TMPDIR)"

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TableRules:
    """The rules of one table: columns that must not be null, and expressions by name.

    `schema` is the table's own, so rows must be fitted to it before they are asked about.
    """

    schema: pa.Schema
    not_null: tuple[str, ...] = ()
    checks: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether there is any rule; most tables have none."""
        return bool(self.not_null or self.checks)

    def broken(self, rows: pa.Table) -> dict[int, Broken]:
        """For each row that the table would refuse the first rule that it breaks."""
        found: dict[int, Broken] = {}
        for name in self.not_null:
            for row in np.flatnonzero(np.asarray(rows[name].is_null())).tolist():
                found.setdefault(row, Broken(name, name, "NOT NULL"))
        if self.checks and rows.num_rows:
            with mapped(_SCRATCH, "asking"):
                for row, name in _refused(rows, self.checks):
                    found.setdefault(row, Broken(None, name, self.checks[name]))
        return found


def rules_of(uri: str, table: DeltaTable) -> TableRules:
    """The rules of a table. Called at each take-over: somebody may have changed them.

    Raises `TableRefused` for an expression that the library cannot evaluate.
    """
    schema = pa.schema(table.schema().to_arrow())
    checks = {
        key.removeprefix(_CHECK): str(text)
        for key, text in sorted(table.metadata().configuration.items())
        if key.startswith(_CHECK)
    }
    checks |= dict(_invariants(schema))
    for name, expression in checks.items():
        try:
            _gone(schema.empty_table(), f"({expression})")
        except DeltaError as error:
            raise TableRefused(
                f"{uri} has a CHECK constraint that cannot be evaluated here: {name}",
                hint="drop the constraint, or write it with comparisons of columns and literals",
            ) from error
    not_null = tuple(each.name for each in schema if not each.nullable)
    return TableRules(schema, not_null, checks)


def refuse_rules(uri: str, rules: TableRules) -> None:
    """Raise `TableRefused` for a table of evidence with rules: it must take whatever comes."""
    for name in (*rules.checks, *rules.not_null):
        raise TableRefused(
            f"{uri} has a rule of its own ({name}), which evidence cannot keep",
            hint="drop the constraint from this table",
        )


def _invariants(schema: pa.Schema) -> Iterator[tuple[str, str]]:
    """The older form of CHECK: an expression in the metadata of a column."""
    for each in schema:
        text = (each.metadata or {}).get(_INVARIANT)
        if text:
            yield f"invariant of {each.name}", json.loads(text)["expression"]["expression"]


def _refused(rows: pa.Table, checks: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """(row, name of the check) of whatever does not hold; null does not hold either.

    All checks at once first, as mostly all rows keep them; then one by one on the few that do not.
    """
    suspects = _gone(rows, " AND ".join(f"({each})" for each in checks.values()))
    for name, expression in checks.items():
        if not len(suspects):
            return
        gone = _gone(rows.take(pa.array(suspects)), f"({expression})")
        yield from ((int(row), name) for row in suspects[gone])
        suspects = np.delete(suspects, gone)


def _gone(rows: pa.Table, expression: str) -> Rows:
    """The places of the rows for which the expression is not true."""
    columns = [name for name in rows.column_names if name.casefold() in expression.casefold()]
    fields = [each.with_nullable(True).remove_metadata() for each in rows.select(columns).schema]  # noqa: FBT003 - NOT NULL is asked apart
    numbers = np.arange(rows.num_rows)
    asked = pa.Table.from_arrays(
        [*(rows[name] for name in columns), pa.array(numbers, pa.int64())],
        schema=pa.schema([*fields, pa.field(_ROW, pa.int64())]),
    )
    with tempfile.TemporaryDirectory(prefix="stream-processor-") as folder:
        write_deltalake(folder, asked)
        scratch = DeltaTable(folder)
        # The table's own words on a table of ours: at worst they choose other rows of it.
        if not scratch.delete(f"({expression}) IS NOT TRUE")["num_deleted_rows"]:
            return numbers[:0]
        kept = scratch.to_pyarrow_dataset().to_table(columns=[_ROW])[_ROW].to_numpy()
    return np.setdiff1d(numbers, kept)
