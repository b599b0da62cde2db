"""`dlq stats`: how many dead letters there are of what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stream_processor.cli.dlq_selector import PipelineOption, selecting
from stream_processor.cli.options import AsJson, Verbose
from stream_processor.cli.output import say, say_columns, say_json
from stream_processor.cli.pipeline_file import load

if TYPE_CHECKING:
    from stream_processor.operations.dlq.counts import DayCount
    from stream_processor.operations.dlq.selection import Selector


@selecting("any")
def stats(
    *,
    selector: Selector,
    pipeline: PipelineOption = None,
    as_json: AsJson = False,
    _verbose: Verbose = False,
) -> None:
    """Count dead letters per day, stage, code and status, the newest day first."""
    from stream_processor.operations.dlq.counts import per_day
    from stream_processor.operations.dlq.letters import open_letters
    from stream_processor.operations.dlq.nearest import nothing_matched
    from stream_processor.operations.dlq.selection import Selector
    from stream_processor.operations.snapshots import tables_of

    letters = open_letters(tables_of(load(pipeline, {}).pipeline))
    rows = per_day(letters, selector)
    if not rows and selector != Selector():
        raise nothing_matched(letters, selector)
    if as_json:
        say_json({"counts": [row.as_json() for row in rows], "total": sum(r.count for r in rows)})
    else:
        show(rows)


def show(rows: Sequence[DayCount]) -> None:
    """One line for each count, and the sum."""
    if rows:
        lines = [(row.day, row.stage, row.code, row.status, row.count) for row in rows]
        say_columns([("day", "stage", "code", "status", "count"), *lines], right=[4])
        say("")
    total = sum(row.count for row in rows)
    say(f"{total:,} dead letters" if total else "no dead letters")
