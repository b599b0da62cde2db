"""`verify`: the proof that every offset is accounted for, exactly once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stream_processor.cli.endings import DONE, FINDINGS
from stream_processor.cli.options import AsJson, Overrides, PipelineFile, Verbose, overrides
from stream_processor.cli.output import cell, say, say_columns, say_json, sentence
from stream_processor.cli.pipeline_file import load
from stream_processor.cli.progress import progress

if TYPE_CHECKING:
    from stream_processor.operations.verify_report import VerifyReport

_HEADER = (
    "topic",
    "partition",
    "from",
    "up to",
    "rows",
    "dead letters",
    "skipped",
    "holes",
    "lost",
    "double",
)


def verify(
    pipeline: PipelineFile = None,
    *,
    connect: Annotated[
        bool, typer.Option("--connect", help="Ask Kafka again for what the tables call a hole.")
    ] = False,
    set_: Overrides = None,
    as_json: AsJson = False,
    _verbose: Verbose = False,
) -> int:
    """Prove from the tables alone that every offset is accounted for, exactly once.

    Reads three columns of each table and may run beside the pipeline. Exit 1 on any finding.
    """
    from stream_processor.operations.kafka_readers import holes_reader
    from stream_processor.operations.snapshots import tables_of
    from stream_processor.operations.verify import verify as prove

    loaded = load(pipeline, overrides(set_))
    holes = holes_reader(loaded.pipeline) if connect else None
    with progress("verify") as told:
        report = prove(tables_of(loaded.pipeline), holes, told)
    if as_json:
        say_json(report.as_json())
    else:
        show(report)
    return DONE if report.clean else FINDINGS


def show(report: VerifyReport) -> None:
    """The table, every finding, and one sentence at the end."""
    # Columns that only say something where there is something to say.
    asked = any(each.unchecked is not None for each in report.partitions)
    acted = any(each.replayed or each.ledger for each in report.partitions)
    rows = [
        (
            each.topic,
            each.partition,
            each.start,
            each.upto,
            each.rows,
            each.dead_letters,
            each.skipped,
            each.holes,
            each.lost,
            each.double,
            *([each.replayed, each.ledger] if acted else []),
            *([each.unchecked or 0] if asked else []),
        )
        for each in report.partitions
    ]
    header = (
        *_HEADER,
        *(["both: replayed", "gone on record"] if acted else []),
        *(["not checked"] if asked else []),
    )
    say_columns([header, *rows], right=range(1, len(header)))
    say("")
    for finding in report.findings:
        topic = finding.topic or finding.topic_id or "-"
        where = f"{cell(topic)}[{finding.partition}]" if finding.partition is not None else "tables"
        examples = ", ".join(map(str, finding.examples))
        say(f"FOUND  {where}: {finding.sentence}" + (f" (like {examples})" if examples else ""))
    say(sentence(report.conclusion))
