"""`table sql`: a query over the tables of one pipeline, at one version each.

The tables are read through the Delta library and the pipeline's own storage settings; DuckDB gets
Arrow datasets, so no credential is ever inside it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import time, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable

from stream_processor.operations.snapshots import (
    Tables,
    open_data,
    open_dead_letters,
    open_ledger,
)
from stream_processor.operations.table_sandbox import (
    Answer,
    Bounds,
    Dataset,
    QueryFailed,
    ask,
)
from stream_processor.operations.try_payloads import plain
from stream_processor.schema import records
from stream_processor.sinks.delta_errors import mapped

DATA, DEAD_LETTERS, ACTIONS = "data", "dead_letters", "actions"
"""The names of the tables in a query; the data table also has its own, the last part of its
address, where that is a plain word."""

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


def sql(query: str, tables: Tables, bounds: Bounds) -> Answer:
    """Ask the tables at their heads, one version each for the whole query.

    Called by `stream-processor table sql`. A table that is not there yet has no rows. Reads only
    the columns, and of the files those, that the query needs. Raises what `table_sandbox.ask`
    does, `ConfigurationError` when there is no data table, and `Unavailable`.
    """
    # The data first, as everywhere: what it counts as done is in what is opened after it.
    data = _dataset(open_data(tables).table, tables.data)
    dead = open_dead_letters(tables)
    ledger = open_ledger(tables)
    found: dict[str, ds.Dataset | pa.Table] = {
        DATA: data,
        DEAD_LETTERS: _dataset(dead.table, dead.uri) if dead else records.DEAD_LETTER.empty_table(),
        ACTIONS: _dataset(ledger.table, ledger.uri) if ledger else records.ACTION.empty_table(),
    }
    name = own_name(tables.data)
    return ask(query, {**({name: data} if name else {}), **found}, bounds)


def own_name(uri: str) -> str | None:
    """The last part of the data table's address, where a query can say it without quotes."""
    name = uri.rstrip("/").rpartition("/")[2]
    fits = _WORD.fullmatch(name) and name.lower() not in (DATA, DEAD_LETTERS, ACTIONS)
    return name if fits else None


def _dataset(table: DeltaTable, uri: str) -> ds.Dataset | pa.Table:
    with mapped(uri, "opening the files of"):
        whole = table.to_pyarrow_dataset()
        if not table.file_uris():
            return whole.schema.empty_table()
        return Dataset.of(whole)


def rows_of(answer: Answer) -> Iterator[list[Any]]:
    """Its rows as values that JSON has, in order. Raises `QueryFailed` for one that none has."""
    try:
        columns = [[_plain(value) for value in _values(each)] for each in answer.table.columns]
    except (ValueError, OverflowError) as error:
        raise QueryFailed(
            "the answer holds a time that cannot be shown", hint="cast it to VARCHAR"
        ) from error
    yield from (list(row) for row in zip(*columns, strict=True))


def columns_of(answer: Answer) -> list[str]:
    """The names of its columns; a repeated one gets a number, so that a row can be an object."""
    names: dict[str, None] = {}
    for name in answer.table.column_names:
        number, free = 1, name
        while free in names:
            free, number = f"{name}_{number}", number + 1
        names[free] = None
    return list(names)


def _values(column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pa.string())  # Python's times end at the microsecond
    found: list[Any] = column.to_pylist()
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, pa.MonthDayNano | time | timedelta):
        return str(value)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return plain(value)
