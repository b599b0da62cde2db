"""A table is made once, however many processes start first at the same moment."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable

from stream_processor.config.pipeline import StorageConfig
from stream_processor.errors import Fenced
from stream_processor.runtime.object_store import open_store
from stream_processor.sinks.delta_create import TableSpec, create, own, owner

ROUNDS = 10
MAKERS = 3


def make(spec: TableSpec, start: threading.Barrier, made: list[str]) -> None:
    """What each process of a pipeline does first."""
    store = open_store(spec.uri, StorageConfig())
    start.wait()
    table = create(spec, store)
    made.append(str(table.metadata().id))
    if owner(table) is None:
        with suppress(Fenced):  # another has entered it, which every caller then finds
            own(spec, table)


def definitions(folder: Path) -> list[str]:
    """The table id of each entry of the log that says what the table is."""
    log = sorted((folder / "_delta_log").glob("*.json"))
    actions = [json.loads(line) for path in log for line in path.read_text().splitlines()]
    return [action["metaData"]["id"] for action in actions if "metaData" in action]


def test_processes_that_start_at_the_same_moment_make_one_table(tmp_path: Path) -> None:
    """A second creation behind the first would be another table: without owner, under our rows."""
    for round_number in range(ROUNDS):
        folder = tmp_path / str(round_number)
        spec = TableSpec(str(folder), pa.schema([("a", pa.int64())]), "pipe")
        start, made = threading.Barrier(MAKERS), list[str]()
        makers = [threading.Thread(target=make, args=(spec, start, made)) for _ in range(MAKERS)]
        for maker in makers:
            maker.start()
        for maker in makers:
            maker.join()
        assert len({*made, *definitions(folder)}) == 1
        assert len(made) == MAKERS
        assert owner(DeltaTable(str(folder))) == "pipe"


def test_a_table_is_made_as_it_was_asked_for(tmp_path: Path) -> None:
    """Partitions, properties and comments are those of the first start, for ever."""
    shape = pa.schema(
        [pa.field("a", pa.int64(), metadata={"comment": "A number"}), ("b", "string")]
    )
    spec = TableSpec(
        str(tmp_path / "t"), shape, "pipe", ("b",), {"delta.appendOnly": "true"}, "some rows"
    )
    table = create(spec, open_store(spec.uri, StorageConfig()))
    found = table.metadata()
    assert (table.version(), found.partition_columns, found.description) == (0, ["b"], "some rows")
    assert found.configuration["delta.appendOnly"] == "true"
    assert pa.schema(table.schema().to_arrow()).field("a").metadata == {b"comment": b"A number"}
    again = create(spec, open_store(spec.uri, StorageConfig()))
    assert str(again.metadata().id) == str(found.id)
