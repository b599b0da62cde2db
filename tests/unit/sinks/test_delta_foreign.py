"""Engines that wrote to a table of ours are known for a week, whatever was committed since."""

from __future__ import annotations

import json
import time
from pathlib import Path

from deltalake import CommitProperties, DeltaTable, write_deltalake

from stream_processor.config.pipeline import StorageConfig
from stream_processor.ports import Advance, Decisions, Position
from stream_processor.runtime.object_store import open_store
from stream_processor.sinks import delta_foreign, delta_log
from stream_processor.sinks.delta import DeltaSink
from stream_processor.sinks.delta_create import TableSpec
from stream_processor.sinks.delta_table import FencedTable
from tests.contracts.sink_adapters import P0, ROWS, rows

NOW = int(time.time() * 1000)


def claimed(folder: Path) -> DeltaSink:
    spec = TableSpec(str(folder), ROWS, "pipe")
    store = open_store(spec.uri, StorageConfig())
    sink = DeltaSink(FencedTable(spec, store, name="data", decisions=Decisions()))
    known = P0.key in sink.remembered().positions
    sink.claim({P0}, {} if known else {P0: Position(0)})
    return sink


def write(sink: DeltaSink, offset: int) -> None:
    sink.write(rows(P0, offset), {P0: Advance(offset, offset + 1, rows=1)})


def stranger(folder: Path, engine: str) -> None:
    """A commit of no rows by somebody, who calls himself so."""
    table = DeltaTable(str(folder))
    write_deltalake(table, ROWS.empty_table(), mode="append", commit_properties=CommitProperties())
    path = folder / "_delta_log" / f"{table.version():020}.json"
    entry = path.read_text().replace(f'"engineInfo":"{_engine(path)}"', f'"engineInfo":"{engine}"')
    path.write_text(entry)


def _engine(path: Path) -> str:
    lines = map(json.loads, path.read_text().splitlines())
    return str(next(line["commitInfo"]["engineInfo"] for line in lines if "commitInfo" in line))


def newest(folder: Path) -> dict[str, int]:
    """What the newest commit alone says."""
    store = open_store(str(folder), StorageConfig())
    return dict(
        delta_foreign.carried(delta_log.commit_at(store, DeltaTable(str(folder)).version()))
    )


def test_a_stranger_between_two_commits_is_carried_on(tmp_path: Path) -> None:
    """`status` reads few commits; after thousands more it must still know of Monday's job."""
    folder = tmp_path / "t"
    sink = claimed(folder)
    write(sink, 0)
    assert newest(folder) == {}
    stranger(folder, "Apache-Spark/3.5")
    for offset in range(1, 4):
        write(sink, offset)
    assert list(newest(folder)) == ["Apache-Spark/3.5 (WRITE)"]


def test_a_restart_and_a_take_over_know_it_too(tmp_path: Path) -> None:
    """Also of one that came while nobody of us was there."""
    folder = tmp_path / "t"
    sink = claimed(folder)
    stranger(folder, "Apache-Spark/3.5")
    write(sink, 0)
    write(sink, 1)
    stranger(folder, "Trino")
    write(claimed(folder), 2)
    assert set(newest(folder)) == {"Apache-Spark/3.5 (WRITE)", "Trino (WRITE)"}


def test_after_a_week_it_is_forgotten() -> None:
    """A warning that never goes is not read; and the log must not grow with it."""
    old = {"Trino (WRITE)": NOW - delta_foreign.WEEK_MS, "Spark (MERGE)": NOW - 1}
    assert delta_foreign.merged(old, {}, NOW) == {"Spark (MERGE)": NOW - 1}
    many = {f"{n} (WRITE)": NOW - n for n in range(30)}
    assert len(delta_foreign.merged(many, {}, NOW)) == 10
    assert delta_foreign.noted({}) == {}


def test_what_strangers_write_into_our_part_is_not_believed() -> None:
    """Anybody can commit with our key in the metadata."""
    info = {"stream_processor": json.dumps({"foreign": {"x": "y", "Spark (WRITE)": 5}})}
    assert delta_foreign.carried(delta_log.Commit(1, info, {})) == {"Spark (WRITE)": 5}
    info = {"stream_processor": json.dumps({"foreign": [1]})}
    assert delta_foreign.carried(delta_log.Commit(1, info, {})) == {}
