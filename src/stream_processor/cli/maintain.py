"""`maintain`: keep the tables quick to open and cheap to keep."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from stream_processor.cli import hints
from stream_processor.cli.dlq_job import job
from stream_processor.cli.endings import DONE, FINDINGS
from stream_processor.cli.options import (
    AsJson,
    Overrides,
    PipelineFile,
    Verbose,
    overrides,
    quantity,
)
from stream_processor.cli.output import cell, note, say, say_columns, say_json, sentence, size
from stream_processor.cli.pipeline_file import load

if TYPE_CHECKING:
    from stream_processor.operations.maintain.report import (
        MaintainPlan,
        MaintainReport,
        TablePlan,
        TableReport,
    )
    from stream_processor.operations.maintain.request import MaintainRequest

_ONLY = "fold, compact, vacuum, checkpoint or clean; several with commas."


def maintain(
    pipeline: PipelineFile = None,
    *,
    apply: Annotated[bool, typer.Option("--apply", help="Do it; the plan alone if absent.")] = (
        False
    ),
    only: Annotated[str | None, typer.Option(metavar="STEPS", help=_ONLY)] = None,
    max_files: Annotated[
        int | None, typer.Option(min=1, help="Small files to read at most; 20,000 if absent.")
    ] = None,
    max_bytes: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="And their bytes, like 4GiB; 16GiB if absent."),
    ] = None,
    max_seconds: Annotated[
        float | None, typer.Option(min=1, help="And seconds; 900 if absent.")
    ] = None,
    set_: Overrides = None,
    as_json: AsJson = False,
    _verbose: Verbose = False,
) -> int:
    """Join small files, vacuum and clean the logs of the tables; without --apply, say what.

    May run beside the pipeline. Before an entry of a log goes, the offset ranges that it names are
    kept in `<table>__offsets`.
    """
    from stream_processor.operations.maintain.places import places_of
    from stream_processor.operations.maintain.plan import plan as look
    from stream_processor.operations.maintain.run import maintain as do
    from stream_processor.runtime.clock import SystemClock

    request = _request(only, max_files, max_bytes, max_seconds)
    loaded = load(pipeline, overrides(set_))
    places = places_of(loaded.pipeline, loaded.schema_file)
    name = loaded.pipeline.pipeline_id
    if not apply:
        plan = look(name, places, SystemClock())
        say_json(plan.as_json()) if as_json else show_plan(plan)
        return DONE
    with job(loaded, "maintain") as (around, lifecycle):
        report = do(name, places, request, around)
    say_json(report.as_json()) if as_json else show_report(report)
    if report.stopped:
        return lifecycle.exit_code() or FINDINGS
    return FINDINGS if report.troubled else DONE


def _request(
    only: str | None, files: int | None, size_bytes: str | None, seconds: float | None
) -> MaintainRequest:
    from stream_processor.config.units import Size
    from stream_processor.operations.maintain.request import STEPS, Budget, MaintainRequest

    named = {word.strip() for word in only.split(",")} if only is not None else set(STEPS)
    unknown = sorted(named - set(STEPS))
    if unknown:
        raise typer.BadParameter(f"there is no step {unknown[0]!r}", param_hint="--only")
    bound = Budget().size_bytes
    if size_bytes is not None:
        bound = int(quantity(Size.parse, size_bytes, "--max-bytes"))
    given = Budget(files or Budget().files, bound, seconds or Budget().seconds)
    return MaintainRequest(tuple(step for step in STEPS if step in named), given)


def show_plan(plan: MaintainPlan) -> None:
    """The tables, then what would be done to each."""
    rows = [
        (
            each.table,
            each.version,
            each.log_versions,
            each.files,
            each.small,
            size(each.size_bytes),
        )
        for each in plan.tables
    ]
    header = ("table", "version", "in the log", "files", "small", "size")
    say_columns([header, *rows], right=range(1, 6))
    say("")
    for table in plan.tables:
        for line in _wishes(table):
            say(f"{table.table}: {line}")
        _asides(table.held_back, table.missing)
    if any(table.anything for table in plan.tables):
        say("nothing was done")
        hints.say_next(hints.again("--apply"))
    else:
        say("there is nothing to do")


def _wishes(table: TablePlan) -> Iterator[str]:
    if table.unfolded:
        yield f"the offset ranges of {table.unfolded:,} commits would be kept beside it"
    if table.small:
        yield f"{table.small:,} small files, {size(table.small_bytes)}, would be joined"
    if table.unnamed:
        yield f"{table.unnamed:,} files that no promised version needs would be removed"
    if table.checkpoint:
        yield "a checkpoint would be written"
    if table.expired:
        yield (
            f"{table.expired:,} entries of the log would be cleaned; "
            f"it would begin at version {table.expired_before:,}"
        )


def _asides(held_back: str | None, missing: int = 0) -> None:
    if held_back:
        note(f"  {cell(held_back)}")
    if missing:
        note(f"  somebody else has cleaned {missing:,} versions before they were kept")


def show_report(report: MaintainReport) -> None:
    """What was done to each table, and how it ended."""
    for table in report.tables:
        for line in _deeds(table):
            say(f"{table.table}: {line}")
        _asides(table.held_back)
        if table.trouble:
            note(f"warning: {cell(table.trouble)}; the next maintenance does it")
    say(sentence(f"maintenance {report.run_id} {_ending(report)}"))


def _deeds(table: TableReport) -> Iterator[str]:
    if table.folded:
        yield f"the offset ranges of {table.folded:,} commits are kept beside it"
    if table.joined:
        yield (
            f"{table.joined:,} small files, {size(table.joined_bytes)}, became {table.made:,}"
            + (f"; {table.left:,} small ones are left" if table.left else "")
        )
    if table.vacuumed:
        yield f"{table.vacuumed:,} files that no promised version needs were removed"
    if table.checkpoint:
        yield "a checkpoint was written"
    if table.cleaned:
        yield f"{table.cleaned:,} entries of the log were cleaned"


def _ending(report: MaintainReport) -> str:
    if report.stopped:
        return "was asked to end; what is done stays done, and the next one goes on"
    if report.spent:
        return "has used up its budget; the next one goes on"
    return "is done"
