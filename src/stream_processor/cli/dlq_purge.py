"""`dlq purge`: old dead letters out of their table, into the archive."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from stream_processor.cli import hints
from stream_processor.cli.dlq_job import job
from stream_processor.cli.dlq_selector import PipelineOption, moment, selecting
from stream_processor.cli.endings import DONE, FINDINGS
from stream_processor.cli.options import AsJson, Verbose
from stream_processor.cli.output import cell, note, say, say_columns, say_json, size
from stream_processor.cli.pipeline_file import load

if TYPE_CHECKING:
    from stream_processor.operations.dlq.purge import PurgeReport
    from stream_processor.operations.dlq.purge_plan import PurgePlan
    from stream_processor.operations.dlq.selection import Selector

_SETTLED = ("replayed", "ignored")
_LEFT = {
    "pending": "wait for the data half of their batch and stay",
    "open": "are open and stay; --include-open takes them too",
    "ignored": "are ignored and stay, as --status says",
    "replayed": "are replayed and stay, as --status says",
}


@selecting("any")
def purge(
    *,
    selector: Selector,
    before: Annotated[
        str, typer.Option(metavar="WHEN", help="Failed before then: a time, a date, or 30d ago.")
    ],
    include_open: Annotated[
        bool, typer.Option("--include-open", help="Also those that nobody has settled.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it; the plan alone if absent.")] = (
        False
    ),
    pipeline: PipelineOption = None,
    as_json: AsJson = False,
    _verbose: Verbose = False,
) -> int:
    """Move old dead letters into the archive; without --yes, say which.

    They are archived as Parquet files beside the table first, then named in the ledger, then
    removed. Only what was replayed or ignored goes, unless --include-open.
    """
    from stream_processor.operations.dlq.keepers import keepers_of
    from stream_processor.operations.dlq.purge import PurgeRequest, plan_purge
    from stream_processor.operations.dlq.purge import purge as purge_now

    statuses = (*_SETTLED, *(["open"] if include_open else []))
    if selector.status is not None:
        statuses = tuple(status for status in statuses if status == selector.status)
    request = PurgeRequest(selector, moment(before, datetime.now(UTC), "--before"), statuses)
    loaded = load(pipeline, {})
    if not yes:
        plan = plan_purge(keepers_of(loaded, ""), request)
        say_json(plan.as_json()) if as_json else show_plan(plan)
        return DONE if plan.letters or plan.unfinished else FINDINGS
    with job(loaded, "purge") as (around, lifecycle):
        report = purge_now(keepers_of(loaded, around.doer.run_id), request, around)
    say_json(report.as_json()) if as_json else show_report(report)
    if report.stopped:
        return lifecycle.exit_code() or FINDINGS
    return DONE if report.purged or report.completed else FINDINGS


def show_plan(plan: PurgePlan) -> None:
    """Which letters of which days would go where, and what stays."""
    if plan.days:
        rows = [
            (
                day.day.isoformat(),
                *(day.by_status.get(status, 0) for status in (*_SETTLED, "open")),
                size(day.value_bytes),
            )
            for day in plan.days
        ]
        say_columns([("day", *_SETTLED, "open", "values"), *rows], right=range(1, 5))
        say("")
    say(f"{plan.letters:,} dead letters would go to {cell(plan.archive)}")
    for status, count in plan.left.items():
        say(f"{count:,} {_LEFT[status]}")
    if plan.unfinished_letters:
        say(f"{plan.unfinished_letters:,} are gone by the ledger and would be removed at last")
    say("nothing was done")
    if plan.letters or plan.unfinished_letters:
        hints.say_next(hints.again("--yes"))


def show_report(report: PurgeReport) -> None:
    """What was done."""
    files = "1 file" if len(report.files) == 1 else f"{len(report.files):,} files"
    say(f"purge {report.run_id}: {report.purged:,} dead letters archived in {files} and removed")
    for file in report.files:
        say(f"  {cell(file)}")
    if report.completed:
        say(f"{report.completed:,} that an earlier job had left were removed")
    if report.stopped:
        say("cancelled between two steps; what is done stays done, start it again to go on")
    if report.purged or report.completed:
        note("  the bytes stay in the table's old files until vacuum")
