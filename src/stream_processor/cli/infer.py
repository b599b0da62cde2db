"""`infer`: a first draft of a schema file, from what is there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream_processor.cli.options import AsJson, Verbose
from stream_processor.cli.output import columns, note, say, say_json, sentence

if TYPE_CHECKING:
    from stream_processor.operations.infer import FieldReport, Inferred

_RIGHT = (2, 3)


def infer(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="kafka://host:port/topic, a file of one event per line, or a Delta table.",
        ),
    ],
    *,
    records: Annotated[
        int, typer.Option("--records", min=1, max=1_000_000, metavar="N", help="At most so many.")
    ] = 1000,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to; stdout if absent."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
    as_json: AsJson = False,
    _verbose: Verbose = False,
) -> None:
    """Draft a schema file from a sample: types, required fields, times and their zone.

    Reads only; joins no consumer group. What it is unsure of stands as `# TODO` in the draft, which
    takes every event of the sample that is a JSON object.
    """
    from stream_processor.operations.dlq.export import refuse_existing, save, save_over
    from stream_processor.operations.infer import infer_events, infer_table
    from stream_processor.operations.infer_sources import Sample, open_source

    if output is not None and not force:
        refuse_existing(output)
    sample = open_source(source, records, os.environ)
    report = infer_events(sample) if isinstance(sample, Sample) else infer_table(sample)
    if output is not None:
        (save_over if force else save)(output, report.text.splitlines())
    if as_json:
        say_json(report.as_json())
        return
    show(report, say if output is not None else note)
    if output is None:
        say(report.text.rstrip("\n"))
    else:
        _tell(report, output)


def show(report: Inferred, tell: Callable[[str], None]) -> None:
    """What was read, then a line for each field."""
    broken = f", {report.undecodable:,} undecodable" if report.undecodable else ""
    tell(f"read {report.records:,} records ({sentence(report.source)}){broken}")
    tell("")
    header = ("field", "type", "present", "null", "notes")
    rows = [
        (
            each.field,
            each.type,
            _percent(each.present),
            _percent(each.null),
            "; ".join(_remarks(each)),
        )
        for each in report.fields
    ]
    for line in columns([header, *rows], right=_RIGHT):
        tell(f"  {line}".rstrip())
    for key in report.left_out:
        tell(f"  left out: {sentence(key)}")
    tell("")


def _remarks(each: FieldReport) -> list[str]:
    """Notes, and what is not said by them already."""
    return [*each.notes, *(f"TODO {todo}" for todo in each.todos if not todo.startswith("enum:"))]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _tell(report: Inferred, output: Path) -> None:
    count = len(report.fields)
    lines = f"the line{'s' if report.todos != 1 else ''} marked `# TODO` ({report.todos})"
    say(
        f"wrote {sentence(str(output))} ({count} field{'s' if count != 1 else ''})."
        + (f" Review {lines}." if report.todos else "")
    )
