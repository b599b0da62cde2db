"""`table info`: what the tables of a pipeline are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream_processor.cli.dlq_selector import PipelineOption
from stream_processor.cli.options import AsJson, Verbose
from stream_processor.cli.output import cell, say, say_columns, say_json, size
from stream_processor.cli.pipeline_file import load

if TYPE_CHECKING:
    from stream_processor.operations.table_info import TableInfo


_TOLD = "delta.dataSkippingStatsColumns"
"""Long, and told of each column already."""


def info(
    *, pipeline: PipelineOption = None, as_json: AsJson = False, _verbose: Verbose = False
) -> None:
    """Show columns, partitions, properties, files and versions of the pipeline's tables.

    Reads the tables' logs, no rows; may run beside the pipeline. A table that is not there yet is
    left out.
    """
    from stream_processor.operations.snapshots import (
        open_data,
        open_dead_letters,
        open_ledger,
        tables_of,
    )
    from stream_processor.operations.table_info import info as look

    tables = tables_of(load(pipeline, {}).pipeline)
    found = {
        "data": open_data(tables),
        "dead_letters": open_dead_letters(tables),
        "actions": open_ledger(tables),
    }
    infos = [look(name, snapshot) for name, snapshot in found.items() if snapshot]
    if as_json:
        say_json({"tables": [each.as_json() for each in infos]})
        return
    for number, each in enumerate(infos):
        say("" if number else f"pipeline {cell(tables.pipeline_id)}\n")
        show(each)


def show(info: TableInfo) -> None:
    """One table: its size and state, its columns, its properties."""
    say(f"{cell(info.name)}   {cell(info.uri)}")
    if info.description:
        say(f"  {cell(info.description)}")
    say_columns([(f"  {name}", value) for name, value in _facts(info)])
    say("")
    marks = {True: "yes", False: "-"}
    rows = [
        (f"  {each.name}", each.type, marks[each.statistics], each.comment) for each in info.columns
    ]
    say_columns([("  column", "type", "statistics", "comment"), *rows])
    shown = [(f"  {name}", value) for name, value in info.properties.items() if name != _TOLD]
    if shown:
        say("")
        say_columns([("  property", "value"), *shown])


def _facts(info: TableInfo) -> list[tuple[str, str]]:
    return [
        ("owner", info.owner or "none"),
        ("format", "not ours" if info.format is None else str(info.format)),
        ("partitioned by", ", ".join(info.partition_by) or "nothing"),
        ("rows", f"{info.rows:,}"),
        ("files", f"{info.files:,}, {info.small_files:,} of them below {size(_small())}"),
        ("size", size(info.size_bytes)),
        ("versions", f"{info.versions:,} ({info.oldest_version:,} to {info.version:,})"),
        ("last commit", info.last_commit_at or "not known"),
        ("checkpoint", _checkpoint(info)),
        ("table features", ", ".join(info.features) or "none"),
    ]


def _checkpoint(info: TableInfo) -> str:
    if info.checkpoint_version is None:
        return "none yet"
    older = "" if info.checkpoint_seconds is None else f", {info.checkpoint_seconds:,.0f} s older"
    return f"version {info.checkpoint_version:,}, {info.checkpoint_versions:,} behind{older}"


def _small() -> int:
    from stream_processor.sinks.delta_files import SMALL_FILE_BYTES

    return SMALL_FILE_BYTES
