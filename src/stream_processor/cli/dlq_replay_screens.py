"""What `dlq replay` says, before and afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream_processor.cli.output import cell, say, say_columns, sentence

if TYPE_CHECKING:
    from stream_processor.operations.dlq.replay_dry_run import Rehearsal
    from stream_processor.operations.dlq.replay_report import ReplayReport, Tally

_ENDED = {
    "limit": "ended at --limit; the rest is untouched",
    "cancelled": "cancelled between two steps; what is done stays done, start it again to go on",
    "stopped": "stopped at the first record that failed again; the rest is untouched",
}
_ID_SHOWN = 12


def show_rehearsal(made: Rehearsal) -> None:
    """What would happen, and why not all of it succeeds."""
    tally = made.tally
    say(sentence(f"{_records(tally.matched)}, read again with {made.schema}"))
    rows = [(tally.replayed, f"would go to {made.target}"), (tally.failed, "still fail")]
    _show_counts([*rows, *_beside(tally)])
    _show_failures(tally)
    if made.planned < made.tally.matched - tally.there - tally.pending - tally.left:
        say(f"--limit: the first {made.planned:,} of them")
    if made.example is not None:
        say(f"the patch, on record {cell(made.example.dlq_id[:_ID_SHOWN])}:")
        say("  before  " + sentence(made.example.before))
        say("  after   " + sentence(made.example.after))
    for name, count in made.headers_left_out.most_common():
        say(f"  header {cell(name)} stays behind ({count:,}); --header takes it along")
    say("nothing was written")


def show_report(report: ReplayReport) -> None:
    """What was done."""
    tally = report.tally
    said = [f"{tally.replayed:,} to {report.target}", f"{tally.failed:,} failed again"]
    if report.versions is not None:
        first, last = report.versions
        said.append(f"v{first}" if first == last else f"v{first} to v{last}")
    say(sentence(f"replay {report.run_id}: {', '.join(said)}, {report.seconds:.1f} s"))
    _show_counts(_beside(tally))
    _show_failures(tally)
    if report.repaired:
        say(f"{report.repaired:,} of a replay that was killed got their place in the ledger")
    if report.ended in _ENDED:
        say(_ENDED[report.ended])


def _beside(tally: Tally) -> list[tuple[int, str]]:
    """What is neither written nor failed; only what there is."""
    all_of = [
        (tally.there, "already in the table"),
        (tally.skipped, "left out by a filter or by tombstone: skip; they stay open"),
        (tally.pending, "wait for their batch to reach the table; left alone"),
        (tally.left, "purged, erased or sent to a topic before; left alone"),
    ]
    return [(count, what) for count, what in all_of if count]


def _show_counts(rows: list[tuple[int, str]]) -> None:
    say_columns([("", f"{count:,}", what) for count, what in rows], right=[1])


def _show_failures(tally: Tally) -> None:
    if not tally.failed:
        return
    header = ("", "still failing", "stage", "code", "field", "example")
    rows = [
        (
            "",
            f"{count:,}",
            cause.stage,
            cause.code,
            cause.field or "-",
            tally.failures.examples[cause][:_ID_SHOWN],
        )
        for cause, count in tally.failures.sorted()
    ]
    say_columns([header, *rows], right=[1])


def _records(count: int) -> str:
    return "1 dead letter" if count == 1 else f"{count:,} dead letters"
