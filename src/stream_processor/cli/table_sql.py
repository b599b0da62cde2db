"""`table sql`: a question to the tables, answered on a terminal, as JSON or as CSV."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream_processor.cli.dlq_selector import PipelineOption
from stream_processor.cli.options import AsJson, Verbose, quantity
from stream_processor.cli.output import note, say, say_columns, say_json
from stream_processor.cli.pipeline_file import load
from stream_processor.schema.display import printable

if TYPE_CHECKING:
    from stream_processor.operations.table_sandbox import Answer, Bounds

_ROWS_MAX = 1_000_000
_CSV_CELL_LIMIT = 1 << 27
_QUERY_BYTES_MAX = 1 << 20


def sql(
    query: Annotated[
        str, typer.Argument(metavar="QUERY", help="One SELECT; - reads it from stdin.")
    ],
    *,
    limit: Annotated[
        int, typer.Option(min=1, max=_ROWS_MAX, metavar="N", help="At most so many rows.")
    ] = 1_000,
    timeout: Annotated[
        str, typer.Option(metavar="DURATION", help="Stop the query after this time.")
    ] = "1m",
    memory: Annotated[
        str, typer.Option(metavar="SIZE", help="How much memory DuckDB may use.")
    ] = "1GiB",
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of text.")] = False,
    pipeline: PipelineOption = None,
    as_json: AsJson = False,
    _verbose: Verbose = False,
) -> None:
    """Ask the pipeline's tables one SELECT, in the SQL of DuckDB.

    The tables are `data` (also by its own name, the last part of its address, like `orders`),
    `dead_letters` and `actions` (what was done with dead letters), at one version each. The query
    reaches nothing else: no file, no address, no setting. Needs DuckDB:
    pip install 'stream-processor[sql]'
    """
    from stream_processor.operations.snapshots import tables_of
    from stream_processor.operations.table_sql import sql as ask

    if as_csv and as_json:
        raise typer.BadParameter("choose one of --json and --csv", param_hint="--csv")
    bounds = _bounds(limit, timeout, memory)
    if query == "-":
        query = sys.stdin.buffer.read(_QUERY_BYTES_MAX).decode(errors="replace")
    answer = ask(query, tables_of(load(pipeline, {}).pipeline), bounds)
    if as_json:
        say_json(document(answer))
    elif as_csv:
        show_csv(answer)
    else:
        show(answer)
    if not answer.complete:
        note(f"note: the first {answer.table.num_rows:,} rows; --limit shows more")


def _bounds(limit: int, timeout: str, memory: str) -> Bounds:
    from stream_processor.config.units import Duration, Size
    from stream_processor.operations.table_sandbox import Bounds

    seconds = float(quantity(Duration.parse, timeout, "--timeout"))
    memory_bytes = int(quantity(Size.parse, memory, "--memory"))
    if not 0 < seconds <= 86_400:
        raise typer.BadParameter(
            "give it more than nothing, and a day at most", param_hint="--timeout"
        )
    if memory_bytes < 64 * 2**20:
        raise typer.BadParameter("give it 64MiB at least", param_hint="--memory")
    return Bounds(memory_bytes, seconds, limit)


def document(answer: Answer) -> dict[str, Any]:
    """The answer for `--json`. Binary is base64, a decimal its text, a time RFC 3339."""
    from stream_processor.operations.table_sql import columns_of, rows_of

    names = columns_of(answer)
    return {
        "columns": names,
        "rows": [dict(zip(names, row, strict=True)) for row in rows_of(answer)],
        "complete": answer.complete,
    }


def show(answer: Answer) -> None:
    """Aligned columns; numbers end flush, bytes are shown as text as far as they are text."""
    from stream_processor.operations.table_sql import columns_of, rows_of

    kinds = [str(each) for each in answer.table.schema.types]
    texts = {
        index: answer.table.column(index).to_pylist()
        for index, kind in enumerate(kinds)
        if kind in ("binary", "large_binary")
    }
    rows = [
        [
            _text(texts[index][number] if index in texts else value, "NULL")
            for index, value in enumerate(row)
        ]
        for number, row in enumerate(rows_of(answer))
    ]
    say_columns([columns_of(answer), *rows], right=_numeric(kinds))


def show_csv(answer: Answer) -> None:
    """RFC 4180 with a header; NULL is empty. Letters that act on a terminal are escapes."""
    from stream_processor.operations.table_sql import columns_of, rows_of

    _say_csv(columns_of(answer))
    for row in rows_of(answer):
        _say_csv([_text(value, "") for value in row])


def _say_csv(row: Iterable[str]) -> None:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([_harmless(text) for text in row])
    say(line.getvalue())


def _harmless(text: str) -> str:
    """Markup is nothing to a spreadsheet, so a bracket stays as it is."""
    return "[".join(printable(part, _CSV_CELL_LIMIT) for part in text.split("["))


def _text(value: object, null: str) -> str:
    if value is None:
        return null
    if isinstance(value, bytes):
        return printable(value, len(value) * 4 + 1)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _numeric(kinds: Sequence[str]) -> list[int]:
    numbers = ("int", "uint", "float", "double", "decimal")
    return [index for index, kind in enumerate(kinds) if kind.startswith(numbers)]
