"""An engine that writes its log entry over one of ours is found before anything is lost by it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from deltalake import DeltaTable

from stream_processor.config.pipeline import StorageConfig
from stream_processor.errors import CommitOverwritten, Fenced
from stream_processor.ports import Advance, Decisions, ObjectStore, Position
from stream_processor.runtime.object_store import open_store
from stream_processor.sinks import delta_log
from stream_processor.sinks.delta import DeltaSink
from stream_processor.sinks.delta_chain import Overwritten, overwritten
from stream_processor.sinks.delta_create import TableSpec
from stream_processor.sinks.delta_table import FencedTable
from tests.contracts.sink_adapters import P0, ROWS, rows

SPARK = "Apache-Spark/3.5.1 Delta-Lake/3.2.0"


def sink_on(folder: Path) -> DeltaSink:
    spec = TableSpec(str(folder), ROWS, "pipe")
    store = open_store(spec.uri, StorageConfig())
    return DeltaSink(FencedTable(spec, store, name="data", decisions=Decisions()))


def claimed(folder: Path) -> DeltaSink:
    sink = sink_on(folder)
    known = P0.key in sink.remembered().positions
    sink.claim({P0}, {} if known else {P0: Position(0)})
    return sink


def write(sink: DeltaSink, offset: int) -> None:
    sink.write(rows(P0, offset), {P0: Advance(offset, offset + 1, rows=1)})


def overwrite(folder: Path, version: int) -> None:
    """What Spark's log store for S3 does when both commit at the same moment."""
    info = {"commitInfo": {"timestamp": 0, "operation": "WRITE", "engineInfo": SPARK}}
    (folder / "_delta_log" / f"{version:020}.json").write_text(json.dumps(info) + "\n")


def found_in(folder: Path) -> list[Overwritten]:
    store: ObjectStore = open_store(str(folder), StorageConfig())
    head = DeltaTable(str(folder)).version()
    return list(overwritten(delta_log.commits_backwards(store, head)))


def test_a_lost_commit_stops_the_process_that_made_it(tmp_path: Path) -> None:
    """Going on with the held handle would leave the offsets of that commit in no table."""
    folder = tmp_path / "t"
    sink = claimed(folder)
    write(sink, 0)
    version = DeltaTable(str(folder)).version()
    overwrite(folder, version)
    with pytest.raises(Fenced):
        write(sink, 1)
    with pytest.raises(CommitOverwritten) as stop:
        sink.remembered()
    assert stop.value.message.startswith(f"commit overwritten by {SPARK}: version {version} of ")
    assert stop.value.exit_code == 1
    assert DeltaTable(str(folder)).version() == version


def test_after_it_a_new_start_reads_again_what_went(tmp_path: Path) -> None:
    """Rows and offsets of a commit go together, so a start without memory loses nothing."""
    folder = tmp_path / "t"
    sink = claimed(folder)
    write(sink, 0)
    write(sink, 1)
    overwrite(folder, DeltaTable(str(folder)).version())
    again = sink_on(folder)
    assert again.remembered().positions[P0.key].next_offset == 1
    again.claim({P0}, {})
    write(again, 1)
    offsets = DeltaTable(str(folder)).to_pyarrow_table()["_kafka_offset"].to_pylist()
    assert sorted(offsets) == [0, 1]


def test_the_chain_names_what_was_written_over_in_the_past(tmp_path: Path) -> None:
    """A race that our look before a commit cannot see is found by `verify` from the log alone."""
    folder = tmp_path / "t"
    sink = claimed(folder)
    for offset in range(3):
        write(sink, offset)
    assert found_in(folder) == []
    lost = DeltaTable(str(folder)).version() - 1
    overwrite(folder, lost)
    assert found_in(folder) == [Overwritten(lost, SPARK)]


def test_a_restore_to_before_forgives(tmp_path: Path) -> None:
    """A finding that can never be mended would hide the next one."""
    folder = tmp_path / "t"
    sink = claimed(folder)
    for offset in range(3):
        write(sink, offset)
    lost = DeltaTable(str(folder)).version() - 1
    overwrite(folder, lost)
    DeltaTable(str(folder)).restore(lost - 1)
    assert found_in(folder) == []


def test_an_engine_without_a_name_and_a_hostile_name_are_shown_safely(tmp_path: Path) -> None:
    """The name comes from a log that anyone may have written."""
    folder = tmp_path / "t"
    sink = claimed(folder)
    write(sink, 0)
    version = DeltaTable(str(folder)).version()
    for name, shown in ((None, "an engine without a name"), ("\x1b[31mred", "\\x1b")):
        info = {"commitInfo": {"operation": "WRITE", "engineInfo": name}}
        path = folder / "_delta_log" / f"{version:020}.json"
        path.write_text(json.dumps(info) + "\n")
        with pytest.raises(CommitOverwritten) as stop:
            sink.remembered()
        assert shown in stop.value.message
        assert "\x1b" not in stop.value.message
