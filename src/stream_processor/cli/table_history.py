"""`table history`: the versions of a table, the newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from stream_processor.cli.dlq_selector import PipelineOption
from stream_processor.cli.options import AsJson, Verbose
from stream_processor.cli.output import cell, note, say, say_columns, say_json, sentence
from stream_processor.cli.pipeline_file import load
from stream_processor.errors import ConfigurationError

if TYPE_CHECKING:
    from stream_processor.operations.snapshots import Snapshot, Tables
    from stream_processor.operations.table_history import History, Version

_OFFSETS_SHOWN = 3
_Name = Literal["data", "dead_letters", "actions"]


def history(
    *,
    table: Annotated[_Name, typer.Option("--table", help="Which of the tables.")] = "data",
    limit: Annotated[
        int, typer.Option(min=1, max=100_000, metavar="N", help="At most so many versions.")
    ] = 20,
    pipeline: PipelineOption = None,
    as_json: AsJson = False,
    _verbose: Verbose = False,
) -> None:
    """Show the versions of a table: when, by whom, how many rows, and which offsets.

    Offsets are those of the events that a batch made durable, as `from..to`, the last one left
    out. Reads the table's log, no rows; may run beside the pipeline.
    """
    from stream_processor.operations.snapshots import tables_of
    from stream_processor.operations.table_history import history as look

    found = look(_open(tables_of(load(pipeline, {}).pipeline), table), limit)
    if as_json:
        say_json(found.as_json())
    else:
        show(found)


def _open(tables: Tables, name: _Name) -> Snapshot:
    from stream_processor.operations.snapshots import open_data, open_dead_letters, open_ledger

    openers = {"data": open_data, "dead_letters": open_dead_letters, "actions": open_ledger}
    snapshot = openers[name](tables)
    if snapshot is None:
        raise ConfigurationError(
            f"the table {name} is not there yet", hint="it is made with its first row"
        )
    return snapshot


def show(found: History) -> None:
    """One line for each version; foreign engines are named once more below."""
    say(cell(found.uri))
    rows = [
        (
            each.version,
            each.at or "-",
            each.operation,
            each.kind or ("FOREIGN" if each.foreign else "-"),
            _known(each.rows),
            _known(each.dead_letters),
            _offsets(each),
            each.engine,
        )
        for each in found.versions
    ]
    head = ("version", "at", "operation", "kind", "rows", "dead letters", "offsets", "engine")
    say_columns([head, *rows], right=(0, 4, 5))
    engines = sorted({each.engine for each in found.versions if each.foreign})
    if engines:
        note(sentence(f"warning: changed by others than this pipeline: {', '.join(engines)}"))
    if not found.complete:
        note(f"note: the newest {len(found.versions):,} versions; --limit shows more")


def _offsets(version: Version) -> str:
    moved = [each for each in version.offsets if each.since != each.upto]
    shown = [f"{m.topic}[{m.partition}] {m.since}..{m.upto}" for m in moved[:_OFFSETS_SHOWN]]
    rest = len(moved) - len(shown)
    return ", ".join([*shown, *([f"and {rest:,} partitions more"] if rest else [])]) or "-"


def _known(number: int | None) -> object:
    return "-" if number is None else number
