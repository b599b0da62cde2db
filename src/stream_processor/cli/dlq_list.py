"""`dlq list`: what is broken, by its causes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from stream_processor.cli import hints
from stream_processor.cli.dlq_selector import PipelineOption, selecting
from stream_processor.cli.dlq_words import age, moment, short
from stream_processor.cli.options import AsJson, Verbose
from stream_processor.cli.output import cell, note, say, say_columns, say_json, sentence
from stream_processor.cli.pipeline_file import load

if TYPE_CHECKING:
    from stream_processor.operations.dlq.groups import Groups
    from stream_processor.operations.dlq.letters import DeadLetters
    from stream_processor.operations.dlq.newest import Newest
    from stream_processor.operations.dlq.selection import Selector
    from stream_processor.runtime.config_loader import LoadedPipeline

RECORD_COLUMNS = (
    "dlq_id",
    "fingerprint",
    "failed_at",
    "topic",
    "topic_id",
    "partition",
    "offset",
    "stage",
    "code",
    "field_path",
    "expected",
    "actual",
    "message",
)


@selecting("open")
def list_(
    *,
    selector: Selector,
    records: Annotated[
        bool, typer.Option("--records", help="Show the records themselves, newest first.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="At most so many lines.")] = 50,
    pipeline: PipelineOption = None,
    as_json: AsJson = False,
    _verbose: Verbose = False,
) -> None:
    """Show dead letters in groups, one for each cause, the newest first.

    Groups with a record of the given status are shown: open ones, unless --status says otherwise.
    Reads five narrow columns, and may run beside the pipeline.
    """
    from stream_processor.operations.dlq.groups import groups_of
    from stream_processor.operations.dlq.letters import open_letters
    from stream_processor.operations.dlq.newest import newest
    from stream_processor.operations.snapshots import tables_of

    loaded = load(pipeline, {})
    letters = open_letters(tables_of(loaded.pipeline))
    if records:
        rows = newest(letters, selector, RECORD_COLUMNS, limit)
        _check(rows.total, letters, selector)
        if as_json:
            say_json({"records": _plain(rows), "total": rows.total})
        else:
            show_records(rows)
            _lead_on([row["dlq_id"] for row in rows.rows], loaded)
        return
    now = datetime.now(UTC)
    groups = groups_of(letters, selector, now, limit)
    _check(groups.matching, letters, selector)
    if as_json:
        say_json(groups.as_json())
    else:
        show_groups(groups, selector, now)
        mendable = [group for group in groups.shown if group.stage not in hints.NO_SCHEMA_HELPS]
        _lead_on([group.fingerprint for group in mendable or groups.shown], loaded)


def _lead_on(ids: Sequence[str], loaded: LoadedPipeline) -> None:
    if ids:
        hints.say_next(hints.dlq("show", short(ids[0]), loaded=loaded))


def _check(found: int, letters: DeadLetters, selector: Selector) -> None:
    """That nothing at all is open is good news; a selector that finds nothing is a mistake."""
    from stream_processor.operations.dlq.nearest import nothing_matched
    from stream_processor.operations.dlq.selection import Selector

    if not found and selector not in (Selector(), Selector(status="open")):
        raise nothing_matched(letters, selector)


def _plain(rows: Newest) -> list[object]:
    from stream_processor.operations.try_payloads import plain

    return [plain(row) for row in rows.rows]


def show_groups(groups: Groups, selector: Selector, now: datetime) -> None:
    """The groups, and what else there is."""
    if not groups.shown:
        kind = f"{selector.status} " if selector.status else ""
        say(sentence(f"no {kind}dead letters{_others(groups, selector.status)}"))
        return
    rows = [
        (
            short(group.fingerprint),
            group.stage,
            group.code,
            group.field_path or "-",
            group.open,
            group.recent,
            age(group.first_seen, now),
            age(group.last_seen, now),
            group.state,
        )
        for group in groups.shown
    ]
    header = ("group", "stage", "code", "field", "open", "24 h", "first seen", "last seen", "state")
    say_columns([header, *rows], right=(4, 5))
    say("")
    some = f"{len(groups.shown):,} of " if len(groups.shown) < groups.matching else ""
    counted = f"{groups.counts.get('open', 0):,} open records"
    say(sentence(f"{some}{_groups(groups.matching)}, {counted}{_others(groups, 'open')}"))
    if selector.since or selector.until:
        note("note: whatever is said of a group is said of the given time only")


def show_records(rows: Newest) -> None:
    """The newest records, and how many there are."""
    if not rows.rows:
        say("no open dead letters")
        return
    lines = [
        (
            short(row["dlq_id"]),
            f"{row['topic']}[{row['partition']}]@{row['offset']}",
            moment(row["failed_at"]),
            row["stage"],
            row["code"],
            row["field_path"] or "-",
            row["actual"] or "-",
            row["status"],
        )
        for row in rows.rows
    ]
    header = ("record", "event", "failed at", "stage", "code", "field", "found", "status")
    say_columns([header, *lines])
    say("")
    some = f"{len(rows.rows):,} of " if len(rows.rows) < rows.total else ""
    say(f"{some}{cell(rows.total)} dead letters")


def _groups(count: int) -> str:
    return "1 group" if count == 1 else f"{count:,} groups"


def _others(groups: Groups, status: str | None) -> str:
    """Records that are not of this status, by what they are."""
    rest = [f"{count:,} {name}" for name, count in groups.counts.items() if name != status]
    hidden = f" in {_groups(groups.hidden)} not shown: add --status any" if groups.hidden else ""
    return f" ({', '.join(sorted(rest))}{hidden})" if rest else ""
