"""The one door to DuckDB within the rules: SQL expressions on record batches.

Only what is listed here is ever run (docs/decisions/0013-expressions-by-duckdb.md): the text is
parsed, each node of its tree must be on the list, and the engine behind it reaches no file, no
network, no setting and no variable of the program. Loaded only where an expression is used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import duckdb
import pyarrow as pa

from stream_processor.errors import InternalError
from stream_processor.processor.expression_tree import ExpressionRefused, check_tree

_TEXT_MAX = 10_000
_SETTINGS: Mapping[str, Any] = {
    "threads": 1,
    "enable_external_access": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,
    "memory_limit": "256MiB",
    "temp_directory": "",
}
# Without the two, what becomes of a row would depend on its neighbours: an expression that stands
# twice is evaluated for all rows, also for those that a CASE keeps away from it.
_CLOSING = (
    "SET GLOBAL TimeZone = 'UTC'",
    "SET disabled_optimizers = 'common_subexpressions,statistics_propagation'",
    "SET lock_configuration = true",
)
_DATA_ERRORS = (
    duckdb.ConversionException,
    duckdb.OutOfRangeException,
    duckdb.InvalidInputException,
    duckdb.NotImplementedException,  # a time zone that there is not
)


@dataclass(frozen=True, slots=True)
class Expression:
    """One checked expression in brackets, and the columns that it reads."""

    sql: str
    reads: frozenset[str]


def parse(text: str, columns: Sequence[str]) -> Expression:
    """Called when a plan is made. Raises `ExpressionRefused` with a sentence for its author."""
    if len(text) > _TEXT_MAX:
        raise ExpressionRefused(f"an expression is at most {_TEXT_MAX:,} characters long")
    sql = f"(\n{text}\n)"  # on lines of its own: it may end with a comment
    question = "SELECT json_serialize_sql(?)"
    with _engine().cursor() as cursor:
        answer = cursor.execute(question, [f"SELECT {sql}"]).fetchone()
    tree = json.loads(answer[0]) if answer else {}
    if tree.get("error", True):
        what = str(tree.get("error_message", "")).split("\n")[0].strip()
        raise ExpressionRefused(f"no SQL expression: {what}")
    return Expression(sql, check_tree(tree, columns))


def result_type(expression: Expression, columns: pa.Schema) -> pa.DataType:
    """The Arrow type of the values, found on no rows. Raises `ExpressionRefused`."""
    try:
        return _run([expression.sql], expression.reads, columns.empty_table())[0].type
    except duckdb.Error as error:
        words = " ".join(str(error).split("LINE 1:", maxsplit=1)[0].split())
        raise ExpressionRefused(words) from error


def evaluate(
    expressions: Sequence[Expression], rows: pa.RecordBatch
) -> list[tuple[pa.Array, pa.Array | None]]:
    """For each expression its values; and where one has none for some row, which rows those are.

    The cheap way for all rows at once. If anything has no value, each expression is asked again
    with every row judged by itself: TRY gives null for such a row, and a struct for any other.
    """
    table = pa.Table.from_batches([rows])
    reads = frozenset().union(*(each.reads for each in expressions))
    try:
        found = _run([each.sql for each in expressions], reads, table)
    except _DATA_ERRORS:
        return [_each_row(expression, table) for expression in expressions]
    except duckdb.Error as error:
        raise _ours(error) from error
    return [(values, None) for values in found]


def _each_row(expression: Expression, table: pa.Table) -> tuple[pa.Array, pa.Array]:
    try:
        (tried,) = _run([f"TRY(struct_pack(v := {expression.sql}))"], expression.reads, table)
    except _DATA_ERRORS:  # not all are caught by TRY
        if table.num_rows == 1:
            return pa.nulls(1, result_type(expression, table.schema)), pa.array([True])
        return _halves(expression, table)
    except duckdb.Error as error:
        raise _ours(error) from error
    failed = tried.is_null()
    return tried.flatten()[0], failed


def _halves(expression: Expression, table: pa.Table) -> tuple[pa.Array, pa.Array]:
    middle = table.num_rows // 2
    first, second = (
        _each_row(expression, half) for half in (table.slice(0, middle), table.slice(middle))
    )
    return pa.concat_arrays([first[0], second[0]]), pa.concat_arrays([first[1], second[1]])


def _run(selected: Sequence[str], reads: frozenset[str], table: pa.Table) -> list[pa.Array]:
    # A constant needs rows to stand on, so there is always a column.
    names = [name for name in table.column_names if name in reads] or table.column_names[:1]
    with _engine().cursor() as cursor:
        cursor.register("rows", table.select(names))
        # Not built of anything that came with an event: the texts are those of the file, checked.
        sql = f"SELECT {', '.join(selected)} FROM rows"  # noqa: S608
        result = cursor.execute(sql).to_arrow_table()
    if result.num_rows != table.num_rows:
        raise InternalError("an expression gave another number of values than there are rows")
    return [_whole(column) for column in result.columns]


def _whole(column: pa.ChunkedArray) -> pa.Array:
    joined = column.combine_chunks()
    return joined if isinstance(joined, pa.Array) else pa.concat_arrays(joined.chunks)


@lru_cache(maxsize=1)
def _engine() -> duckdb.DuckDBPyConnection:
    """One engine for all plans: it keeps nothing, each question has a cursor of its own."""
    engine = duckdb.connect(":memory:", config=dict(_SETTINGS))
    for statement in _CLOSING:
        engine.execute(statement)
    return engine


def _ours(error: duckdb.Error) -> InternalError:
    # Its own words may hold values of an event, so only its kind is told.
    return InternalError(f"an expression could not be evaluated: {type(error).__name__}")
