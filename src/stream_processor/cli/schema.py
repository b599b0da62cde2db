"""`schema`: the schema file against the table that it writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from stream_processor.cli.endings import DONE, FINDINGS
from stream_processor.cli.options import AsJson, Overrides, PipelineFile, Verbose, overrides
from stream_processor.cli.output import cell, say, say_json, sentence
from stream_processor.cli.pipeline_file import load

if TYPE_CHECKING:
    from stream_processor.operations.schema_diff import Difference, SchemaDiff

app = typer.Typer(
    help="Compare the schema file with the table that it writes.",
    rich_markup_mode=None,
)

_SIGNS = {"added": "+", "retired": "=", "wider": "="}


@app.command("diff")
def diff(
    pipeline: PipelineFile = None,
    *,
    set_: Overrides = None,
    as_json: AsJson = False,
    _verbose: Verbose = False,
) -> int:
    """Say what the next start would do to the table, or why it would refuse it.

    Reads the log of the data table and writes nothing. Exit 1 when something is breaking.
    """
    from stream_processor.operations.schema_diff import schema_diff

    loaded = load(pipeline, overrides(set_))
    report = schema_diff(loaded.pipeline, loaded.schema_file)
    if as_json:
        say_json(report.as_json())
    else:
        show(report)
    return FINDINGS if report.breaking else DONE


def show(report: SchemaDiff) -> None:
    """The verdict first, then a line for each difference and one for what follows from it."""
    if report.version is None:
        say(f"{sentence(report.table)}: not there yet")
        say(f"compatible: the first run creates it with {report.columns} columns")
        return
    say(f"{sentence(report.table)}: version {cell(report.version)}")
    if not report.differences:
        say("compatible: the table has exactly the columns of the schema file")
        return
    for each in sorted(report.differences, key=lambda one: one.verdict != "breaking"):
        _difference(each)
    count = sum(each.verdict == "breaking" for each in report.differences)
    changes = f"{len(report.differences)} difference{'s' if len(report.differences) > 1 else ''}"
    if report.breaking:
        say(f"breaking: a run would refuse the table ({count} of {changes})")
    else:
        say(f"compatible: the next start goes on with {changes}")


def _difference(each: Difference) -> None:
    sign = "!" if each.verdict == "breaking" else _SIGNS.get(each.kind, "=")
    say(f"  {sign} the table {sentence(each.text)}")
    say(f"      {sentence(each.hint)}")
