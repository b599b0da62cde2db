"""New columns: added by whoever claims, while the handles of others survive by claiming again."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, Field, write_deltalake
from deltalake.schema import PrimitiveType

from stream_processor.config.pipeline import StorageConfig
from stream_processor.errors import Fenced, InternalError, TableRefused
from stream_processor.ports import Advance, Decisions, Partition, Position
from stream_processor.runtime.object_store import open_store
from stream_processor.sinks import delta_log
from stream_processor.sinks.delta import DeltaSink, fitted
from stream_processor.sinks.delta_create import TableSpec
from stream_processor.sinks.delta_desk import Desk
from stream_processor.sinks.delta_table import FencedTable
from tests.contracts.sink_adapters import P0, P1, ROWS, rows

COUPON = pa.field("coupon", pa.string(), metadata={"comment": "what was granted"})
WIDER = pa.schema([*ROWS, COUPON])


def spec_of(folder: Path, schema: pa.Schema = ROWS) -> TableSpec:
    return TableSpec(str(folder), schema, "pipe")


def fenced(folder: Path, schema: pa.Schema = ROWS) -> FencedTable:
    spec = spec_of(folder, schema)
    store = open_store(spec.uri, StorageConfig())
    return FencedTable(spec, store, name="data", decisions=Decisions())


def claimed(folder: Path, schema: pa.Schema, part: Partition = P0) -> DeltaSink:
    """A sink that owns one partition from wherever it stands."""
    sink = DeltaSink(fenced(folder, schema))
    memory = sink.remembered()
    anchors = {} if part.key in memory.positions else {P0: Position(0), P1: Position(0)}
    sink.claim({part}, anchors)
    return sink


def with_coupon(*offsets: int) -> pa.RecordBatch:
    made = [{**row, "coupon": "ten"} for row in rows(P0, *offsets).to_pylist()]
    return pa.RecordBatch.from_pylist(made, schema=WIDER)


def test_a_claim_adds_the_columns_of_a_new_schema_file(tmp_path: Path) -> None:
    """The next start is all that it takes; rows of before are null in the new column."""
    folder = tmp_path / "t"
    claimed(folder, ROWS).write(rows(P0, 0), {P0: Advance(0, 1, rows=1)})
    claimed(folder, WIDER).write(with_coupon(1), {P0: Advance(1, 2, rows=1)})
    table = DeltaTable(str(folder))
    assert sorted(table.to_pyarrow_table()["coupon"].to_pylist(), key=str) == [None, "ten"]
    assert pa.schema(table.schema().to_arrow()).field("coupon").metadata == COUPON.metadata
    store = open_store(str(folder), StorageConfig())
    added = [c for c in delta_log.commits_between(store, -1) if c.operation == "ADD COLUMN"]
    assert [c.txns for c in added] == [{"pipe/topic-id-1/0": 1}]
    assert delta_log.note_of(added[0])["columns"] == ["coupon"]


def test_a_process_of_before_loses_its_handle_and_goes_on_with_nulls(tmp_path: Path) -> None:
    """During a rolling upgrade both schema files are at work on one table."""
    folder = tmp_path / "t"
    old = claimed(folder, ROWS)
    claimed(folder, WIDER, P1)
    with pytest.raises(Fenced):
        old.write(rows(P0, 0), {P0: Advance(0, 1, rows=1)})
    old.remembered()
    old.claim({P0}, {})
    old.write(rows(P0, 0), {P0: Advance(0, 1, rows=1)})
    assert DeltaTable(str(folder)).to_pyarrow_table()["coupon"].to_pylist() == [None]


def test_two_that_add_at_once_end_with_both_columns(tmp_path: Path) -> None:
    """The slower one is fenced by the change of metadata, and adds its own at its next claim."""
    folder = tmp_path / "t"
    claimed(folder, ROWS)
    other = pa.schema([*ROWS, pa.field("note", pa.string())])
    one, two = fenced(folder, WIDER), fenced(folder, other)
    one.remembered()
    two.remembered()
    one.claim({P0}, {})
    with pytest.raises(Fenced):
        two.claim({P1}, {})
    two.remembered()
    two.claim({P1}, {})
    names = pa.schema(DeltaTable(str(folder)).schema().to_arrow()).names
    assert {"coupon", "note"} <= set(names)


def test_a_crash_between_claim_and_column_is_mended_by_the_next_claim(tmp_path: Path) -> None:
    """The two are two commits, and a process may die between any two."""

    def dies(step: str) -> None:
        if step == "data.after_claim":
            raise KeyboardInterrupt

    folder = tmp_path / "t"
    claimed(folder, ROWS)
    spec = spec_of(folder, WIDER)
    store = open_store(spec.uri, StorageConfig())
    dying = FencedTable(spec, store, name="data", decisions=Decisions(), kill_point=dies)
    dying.remembered()
    with pytest.raises(KeyboardInterrupt):
        dying.claim({P0}, {})
    assert "coupon" not in pa.schema(DeltaTable(str(folder)).schema().to_arrow()).names
    claimed(folder, WIDER)
    assert "coupon" in pa.schema(DeltaTable(str(folder)).schema().to_arrow()).names


def test_a_start_without_partitions_adds_nothing(tmp_path: Path) -> None:
    """Only who has claimed may change the table: a look must stay a look."""
    folder = tmp_path / "t"
    claimed(folder, ROWS)
    version = DeltaTable(str(folder)).version()
    fenced(folder, WIDER).remembered()
    assert DeltaTable(str(folder)).version() == version


def test_a_replay_names_the_run_that_adds_the_column(tmp_path: Path) -> None:
    """Values of a field without a column would be dropped without a word."""
    folder = tmp_path / "t"
    claimed(folder, ROWS)
    spec = spec_of(folder, WIDER)
    with pytest.raises(TableRefused, match="no column 'coupon' yet") as refusal:
        Desk(spec, open_store(spec.uri, StorageConfig()), "r").claim("replay")
    assert "start `run`" in refusal.value.hint
    with pytest.raises(InternalError, match="coupon"):
        fitted(with_coupon(0), DeltaTable(str(folder)))


def test_a_table_that_somebody_widened_takes_our_rows(tmp_path: Path) -> None:
    """A rewrite by a person is the only way to widen; afterwards the old schema file still runs."""
    folder = tmp_path / "t"
    wide = ROWS.set(3, pa.field("_kafka_partition", pa.int64()))
    write_deltalake(str(folder), wide.empty_table(), mode="overwrite")
    claimed(folder, ROWS).write(rows(P0, 0), {P0: Advance(0, 1, rows=1)})
    found = DeltaTable(str(folder)).to_pyarrow_table()
    assert found["_kafka_partition"].to_pylist() == [0]
    assert found.schema.field("_kafka_partition").type == pa.int64()


def test_a_column_by_somebody_else_is_followed(tmp_path: Path) -> None:
    """Their change fences us once; then our rows are null there."""
    folder = tmp_path / "t"
    sink = claimed(folder, ROWS)
    DeltaTable(str(folder)).alter.add_columns([Field("region", PrimitiveType("string"))])
    with pytest.raises(Fenced):
        sink.write(rows(P0, 0), {P0: Advance(0, 1, rows=1)})
    sink.remembered()
    sink.claim({P0}, {})
    sink.write(rows(P0, 0), {P0: Advance(0, 1, rows=1)})
    assert DeltaTable(str(folder)).to_pyarrow_table()["region"].to_pylist() == [None]


def test_every_commit_names_the_one_before_it(tmp_path: Path) -> None:
    """That is how `verify` finds an entry that another engine wrote over."""
    folder = tmp_path / "t"
    claimed(folder, WIDER).write(with_coupon(0), {P0: Advance(0, 1, rows=1)})
    store = open_store(str(folder), StorageConfig())
    notes = {c.version: delta_log.note_of(c) for c in delta_log.commits_between(store, -1)}
    named = {v: n["previous"] for v, n in notes.items() if "previous" in n}
    assert named
    for before in named.values():
        assert notes[before["version"]]["batch"] == before["batch"]
    assert json.dumps(named)
