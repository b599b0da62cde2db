"""`status`: how a pipeline is doing, from its tables and Kafka's ends."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stream_processor.cli.options import AsJson, Overrides, PipelineFile, Verbose, overrides
from stream_processor.cli.output import cell, note, say, say_columns, say_json, sentence, size
from stream_processor.cli.pipeline_file import is_local, load
from stream_processor.errors import Unavailable

if TYPE_CHECKING:
    from stream_processor.operations.status import Ends, PartitionStatus, StatusReport, TableStatus
    from stream_processor.schema.positions import Partition

_COMMITS_SHOWN = 5


@dataclass(slots=True)
class _Forgiving:
    """Kafka's ends, or none when it is away: then the tables are still worth showing."""

    ask: Ends
    away: Unavailable | None = field(default=None)

    def __call__(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        try:
            return self.ask(partitions)
        except Unavailable as error:
            self.away = error
            return {}


def status(
    pipeline: PipelineFile = None,
    *,
    set_: Overrides = None,
    as_json: AsJson = False,
    _verbose: Verbose = False,
) -> None:
    """Show lag per partition, the last commits and the dead letters by code.

    Reads the tables' logs and Kafka's ends, no rows; may run beside the pipeline. Without Kafka it
    shows what the tables say.
    """
    from stream_processor.operations.kafka_readers import holes_reader
    from stream_processor.operations.snapshots import tables_of
    from stream_processor.operations.status import status as look

    loaded = load(pipeline, overrides(set_))
    ends = _Forgiving(holes_reader(loaded.pipeline).ends)
    report = look(tables_of(loaded.pipeline), ends)
    if ends.away is not None:
        _note_away(ends.away, local=is_local(pipeline))
    if as_json:
        say_json(report.as_json())
    else:
        show(report)


def _note_away(error: Unavailable, *, local: bool) -> None:
    note(f"warning: without lag: {sentence(error.message)}")
    running = "the built-in Kafka runs only while `run` or `demo` does"
    note(f"  to do: {running if local else sentence(error.hint)}")


def show(report: StatusReport) -> None:
    """One screen for the person on call: what matters first."""
    lag = "not known" if report.lag is None else f"{report.lag:,}"
    say(f"{cell(report.pipeline)}   lag {lag}   last commit {report.last_commit_at or 'none'}")
    say("")
    _partitions(report)
    _tables([report.data, *([report.dead_letter_table] if report.dead_letter_table else [])])
    _commits(report)
    _dead_letters(report)
    if report.waiting:
        say(f"\nnote: {cell(report.waiting)}")
    if report.flood:
        say(f"\nwarning: {cell(report.flood)}")
    for name in report.foreign_writers:
        say(f"\nwarning: another writer changed the data table in the last 7 days: {cell(name)}")


def _partitions(report: StatusReport) -> None:
    rows = [
        (
            each.topic,
            each.partition,
            each.committed,
            _known(each.end),
            _known(each.lag),
            _state(each),
        )
        for each in report.partitions
    ]
    header = ("topic", "partition", "committed", "end", "lag", "state")
    say_columns([header, *rows], right=range(1, 5))


def _state(each: PartitionStatus) -> str:
    states = {"superseded": each.superseded, "half written": each.waiting, "paused": each.paused}
    return next((name for name, true in states.items() if true), "ok")


def _tables(tables: list[TableStatus]) -> None:
    say("")
    rows = [
        (t.uri, t.version, t.log_versions, t.rows, t.files, t.small_files, size(t.size_bytes))
        for t in tables
    ]
    header = ("table", "version", "in the log", "rows", "files", "small", "size")
    say_columns([header, *rows], right=range(1, 7))


def _commits(report: StatusReport) -> None:
    if not report.commits:
        return
    say("")
    rows = [
        (
            each.at,
            each.version,
            each.rows,
            each.dead_letters,
            "-" if each.seconds is None else f"{each.seconds * 1000:,.0f} ms",
        )
        for each in report.commits[:_COMMITS_SHOWN]
    ]
    header = ("last commits", "version", "rows", "dead letters", "took")
    say_columns([header, *rows], right=range(1, 5))


def _dead_letters(report: StatusReport) -> None:
    if not report.dead_letters:
        say("\nno dead letters")
        return
    say("")
    rows = [
        (each.stage, each.code, each.open, each.replayed, each.ignored, each.count)
        for each in report.dead_letters
    ]
    header = ("dead letters", "code", "open", "replayed", "ignored", "total")
    say_columns([header, *rows], right=range(2, 6))


def _known(number: int | None) -> object:
    return "-" if number is None else number
