"""Tables that must not be written are refused before anything is, each with its reason."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from stream_processor.config.pipeline import StorageConfig
from stream_processor.errors import TableRefused, TableReplaced
from stream_processor.ports import Decisions, Position
from stream_processor.runtime.object_store import open_store
from stream_processor.sinks.delta_create import TableSpec
from stream_processor.sinks.delta_table import FencedTable
from tests.contracts.sink_adapters import P0, ROWS


def fenced(folder: Path, schema: pa.Schema = ROWS, *, adopt: bool = False) -> FencedTable:
    spec = TableSpec(str(folder), schema, "pipe")
    store = open_store(spec.uri, StorageConfig())
    return FencedTable(spec, store, name="data", decisions=Decisions(adopt=adopt))


def foreign(folder: Path, schema: pa.Schema = ROWS, **properties: str) -> DeltaTable:
    """A table that somebody else made, still empty."""
    return DeltaTable.create(str(folder), schema=schema, configuration=properties)


def unclear(folder: Path) -> None:
    table = foreign(folder)
    table.alter.add_constraint({"unclear": "_kafka_offset < 10"})
    entry = folder / "_delta_log" / f"{1:020}.json"
    entry.write_text(entry.read_text().replace("_kafka_offset < 10", "no_function(order_id)"))


def not_null(folder: Path) -> None:
    foreign(folder, ROWS.append(pa.field("owner", pa.string(), nullable=False)))


def old_and_demanding(folder: Path) -> None:
    foreign(folder)
    protocol = {"protocol": {"minReaderVersion": 1, "minWriterVersion": 6}}
    (folder / "_delta_log" / f"{1:020}.json").write_text(json.dumps(protocol) + "\n")


def retyped(folder: Path) -> None:
    foreign(folder, ROWS.set(0, pa.field("order_id", pa.int64())))


def newer_format(folder: Path) -> None:
    table = foreign(folder)
    table.alter.set_table_properties(
        {"stream_processor.pipeline": "pipe", "stream_processor.format": "2"},
        raise_if_not_exists=False,
    )


def owned_by_another(folder: Path) -> None:
    table = foreign(folder)
    table.alter.set_table_properties(
        {"stream_processor.pipeline": "else"}, raise_if_not_exists=False
    )


def short_log(folder: Path) -> None:
    foreign(folder, **{"delta.logRetentionDuration": "interval 1 hours"})


def with_rows(folder: Path) -> None:
    write_deltalake(str(folder), pa.table({name: [None] for name in ROWS.names}, schema=ROWS))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (unclear, "CHECK constraint that cannot be evaluated here: unclear"),
        (not_null, "NOT NULL"),
        (old_and_demanding, "feature columnMapping, identityColumns"),
        (retyped, "'order_id' as long, the schema file as string"),
        (newer_format, "format 2"),
        (owned_by_another, "belongs to the pipeline 'else'"),
        (short_log, "keeps its log for"),
        (with_rows, "belongs to no pipeline"),
    ],
)
def test_a_table_that_we_cannot_honour_is_refused(
    tmp_path: Path, make: Callable[[Path], None], reason: str
) -> None:
    """A batch that can never be committed, or a promise that cannot be kept, is worse than a no."""
    make(tmp_path / "t")
    with pytest.raises(TableRefused, match=reason):
        fenced(tmp_path / "t").remembered()


def test_a_refused_table_is_not_taken_over(tmp_path: Path) -> None:
    """Nothing is written before the refusal, not even our name into an empty table's properties."""
    retyped(tmp_path / "t")
    for adopt in (False, True):
        with pytest.raises(TableRefused, match="as long"):
            fenced(tmp_path / "t", adopt=adopt).remembered()
    assert DeltaTable(str(tmp_path / "t")).version() == 0


def test_an_adopted_table_keeps_its_rows(tmp_path: Path) -> None:
    """`run --adopt` is a person's decision; afterwards the table has an owner."""
    with_rows(tmp_path / "t")
    fenced(tmp_path / "t", adopt=True).remembered()
    table = DeltaTable(str(tmp_path / "t"))
    assert table.to_pyarrow_table().num_rows == 1
    assert table.metadata().configuration["stream_processor.pipeline"] == "pipe"
    fenced(tmp_path / "t").remembered()


def test_the_rest_of_a_crash_between_creation_and_ownership_is_ours(tmp_path: Path) -> None:
    """Creation is two commits; a crash between them must not need a person."""
    foreign(tmp_path / "t")
    fenced(tmp_path / "t").remembered()
    table = DeltaTable(str(tmp_path / "t"))
    assert table.metadata().configuration["stream_processor.pipeline"] == "pipe"


def test_a_table_that_is_made_again_under_a_running_process_stops_it(tmp_path: Path) -> None:
    """Its offsets are gone with it; going on from Kafka's would lose everything before."""
    one = fenced(tmp_path / "t")
    one.remembered()
    one.claim({P0}, {P0: Position(0)})
    shutil.rmtree(tmp_path / "t")
    with pytest.raises(TableReplaced, match="is gone"):
        one.remembered()
    foreign(tmp_path / "t")
    with pytest.raises(TableReplaced, match="another table than before"):
        one.remembered()
