"""`dlq export`: dead letters as lines of JSON, or as a fixture file."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from stream_processor.cli import hints
from stream_processor.cli.dlq_selector import PipelineOption, selecting
from stream_processor.cli.options import Verbose
from stream_processor.cli.output import note, say, sentence
from stream_processor.cli.pipeline_file import load

if TYPE_CHECKING:
    import pyarrow as pa

    from stream_processor.operations.dlq.selection import Selector
    from stream_processor.runtime.config_loader import LoadedPipeline


@selecting("open")
def export(
    *,
    selector: Selector,
    format_: Annotated[
        Literal["ndjson", "fixture"],
        typer.Option(
            "--format",
            help="ndjson: one line of JSON each, which `try` takes as it is; "
            "fixture: a file for `test`.",
        ),
    ] = "ndjson",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to; stdout if absent."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
    limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="At most so many.", show_default="all; fixture: 20"),
    ] = None,
    pipeline: PipelineOption = None,
    _verbose: Verbose = False,
) -> None:
    """Write dead letters out, with their exact bytes: as lines of JSON, or as tests.

    A fixture expects what today's rules make of each; change it to what you want, mend the schema
    file until `test` passes, then replay.
    """
    from stream_processor.operations.dlq.export import (
        chosen,
        lines,
        refuse_existing,
        save,
        save_over,
    )
    from stream_processor.operations.dlq.export_fixture import RECORDS_MAX
    from stream_processor.operations.dlq.letters import open_letters
    from stream_processor.operations.dlq.nearest import nothing_matched
    from stream_processor.operations.snapshots import tables_of

    if output is not None and not force:
        refuse_existing(output)
    loaded = load(pipeline, {})
    letters = open_letters(tables_of(loaded.pipeline))
    count = _Count()
    most = limit or (RECORDS_MAX if format_ == "fixture" else None)
    batches = count.over(chosen(letters, selector, most))
    first = next(batches, None)
    if first is None:
        raise nothing_matched(letters, selector)
    everything = chain([first], batches)
    text = lines(everything) if format_ == "ndjson" else [_fixture(everything, loaded, output)]
    if output is None:
        for line in text:
            say(line)
        return
    (save_over if force else save)(output, text)
    if limit is None and count.records == most:
        note(f"these are the first {most}; --limit takes more")
    _tell(count, output, format_)


class _Count:
    """How many dead letters went by, and how many of them had been cut."""

    def __init__(self) -> None:
        self.records = self.cut = 0

    def over(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            self.records += batch.num_rows
            self.cut += batch["value_truncated"].true_count
            yield batch


def _fixture(batches: Iterable[pa.RecordBatch], loaded: LoadedPipeline, output: Path | None) -> str:
    from stream_processor.operations.assemble import plan_of
    from stream_processor.operations.dlq.export_fixture import FixtureHead, fixture_text

    folder = Path.cwd() if output is None else output.parent
    head = FixtureHead(loaded.path, folder, datetime.now(UTC))
    return fixture_text(batches, plan_of(loaded.pipeline, loaded.schema_file), head)


def _tell(count: _Count, output: Path, kind: str) -> None:
    from stream_processor.operations.program import as_typed

    cut = f"; the values of {count.cut:,} were cut" if count.cut else ""
    note(sentence(f"wrote {count.records:,} dead letters to {output}{cut}"))
    if kind == "fixture":
        hints.say_next(as_typed(shlex.join(["test", str(output)])))
