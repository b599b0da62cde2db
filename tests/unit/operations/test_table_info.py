"""What the log says of a table: its columns, files, checkpoints, and who changed it."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from stream_processor.operations.snapshots import open_data
from stream_processor.operations.table_history import history
from stream_processor.operations.table_info import TableInfo, info
from stream_processor.operations.table_sandbox import Bounds
from stream_processor.operations.table_sql import own_name, sql
from tests.letters import Letters, good
from tests.unit.operations.lakehouse import Lakehouse


@pytest.fixture
def lake(tmp_path: Path) -> Lakehouse:
    return Lakehouse(str(tmp_path))


def looked(lake: Lakehouse) -> TableInfo:
    return info("data", open_data(lake.tables))


def test_versions_and_the_age_of_the_checkpoint(lake: Lakehouse) -> None:
    """A log without a checkpoint is slow to open; one without old entries cannot be travelled."""
    for number in range(3):
        lake.data([number], upto=number + 1, start=0)
    found = looked(lake)
    assert (found.version, found.versions, found.oldest_version) == (2, 3, 0)
    assert (found.checkpoint_version, found.checkpoint_versions) == (None, None)
    lake.open_data().create_checkpoint()
    lake.data([3], upto=4, start=0)
    (Path(lake.tables.data) / "_delta_log" / f"{0:020}.json").unlink()
    found = looked(lake)
    assert (found.version, found.versions, found.oldest_version) == (3, 3, 1)
    assert (found.checkpoint_version, found.checkpoint_versions) == (2, 1)
    assert found.checkpoint_seconds is not None
    assert 0 <= found.checkpoint_seconds < 60
    assert json.loads(json.dumps(found.as_json()))["checkpoint_version"] == 2


def test_files_and_rows(lake: Lakehouse) -> None:
    """Small files are what makes a table slow."""
    lake.data(range(5), upto=5, start=0)
    lake.data(range(5, 9), upto=9, start=0)
    found = looked(lake)
    assert (found.rows, found.files, found.small_files) == (9, 2, 2)
    assert found.size_bytes > 0
    assert found.owner is None
    assert found.format is None


def test_types_have_the_names_of_sql(tmp_path: Path) -> None:
    """The names under which a reader knows them, not Arrow's."""
    schema = pa.schema(
        [
            pa.field("id", pa.int64(), metadata={"comment": "Order number"}),
            ("amount", pa.decimal128(12, 2)),
            ("at", pa.timestamp("us", tz="UTC")),
            ("local", pa.timestamp("us")),
            ("day", pa.date32()),
            ("tags", pa.list_(pa.string())),
            ("more", pa.struct([("ok", pa.bool_()), ("raw", pa.binary())])),
            ("counts", pa.map_(pa.string(), pa.int32())),
            ("weight", pa.float64()),
        ]
    )
    lake = Lakehouse(str(tmp_path))
    DeltaTable.create(lake.tables.data, schema=schema, partition_by=["day"])
    found = looked(lake)
    assert {each.name: each.type for each in found.columns} == {
        "id": "long",
        "amount": "decimal(12,2)",
        "at": "timestamp",
        "local": "timestamp_ntz",
        "day": "date",
        "tags": "array<string>",
        "more": "struct<ok: boolean, raw: binary>",
        "counts": "map<string, int>",
        "weight": "double",
    }
    assert found.columns[0].comment == "Order number"
    assert [each.name for each in found.columns if each.partition] == ["day"]
    assert "timestampNtz" in found.features


@pytest.mark.parametrize(
    ("properties", "indexed"),
    [
        ({}, [f"c{number}" for number in range(32)]),
        ({"delta.dataSkippingNumIndexedCols": "2"}, ["c0", "c1"]),
        ({"delta.dataSkippingNumIndexedCols": "-1"}, [f"c{number}" for number in range(40)]),
        ({"delta.dataSkippingStatsColumns": "c7, `c9`"}, ["c7", "c9"]),
    ],
)
def test_columns_with_statistics(
    tmp_path: Path, properties: dict[str, str], indexed: list[str]
) -> None:
    """A filter on any other column reads every file."""
    lake = Lakehouse(str(tmp_path))
    schema = pa.schema([(f"c{number}", pa.int64()) for number in range(40)])
    DeltaTable.create(lake.tables.data, schema=schema, configuration=properties)
    assert [each.name for each in looked(lake).columns if each.statistics] == indexed


def test_upkeep_is_not_foreign_and_rows_are(lake: Lakehouse) -> None:
    """Compaction by our library changes no row; an append by somebody does."""
    lake.data([0], upto=1, start=0, note={"kind": "batch"})
    lake.data([1], upto=2, start=0, note={"kind": "batch"})
    lake.open_data().optimize.compact()
    write_deltalake(lake.open_data(), lake.open_data().to_pyarrow_table(), mode="append")
    found = history(open_data(lake.tables), 10)
    assert [(each.operation, each.kind, each.foreign) for each in found.versions] == [
        ("WRITE", None, True),
        ("OPTIMIZE", None, False),
        ("WRITE", "batch", False),
        ("WRITE", "batch", False),
    ]
    assert [each.rows for each in found.versions] == [2, None, 1, 1]
    assert found.complete
    assert not history(open_data(lake.tables), 3).complete


def test_history_ends_where_the_log_was_cleaned(lake: Lakehouse) -> None:
    """What is gone is gone; the rest is still worth showing."""
    for number in range(3):
        lake.data([number], upto=number + 1, start=0)
    lake.open_data().create_checkpoint()
    (Path(lake.tables.data) / "_delta_log" / f"{0:020}.json").unlink()
    assert [each.version for each in history(open_data(lake.tables), 10).versions] == [2, 1]


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("s3://lake/bronze/orders", "orders"),
        ("/lake/orders/", "orders"),
        ("/lake/or-ders", None),
        ("/lake/Data", None),
        ("/lake/dead_letters", None),
        ("/lake/1st", None),
    ],
)
def test_the_own_name_of_the_data_table(uri: str, name: str | None) -> None:
    """It never hides one of the three names that every pipeline has."""
    assert own_name(uri) == name


def test_a_table_without_rows_is_asked_too(tmp_path: Path) -> None:
    """All events were dead letters: a question is answered, not failed."""
    world = Letters(tmp_path)
    world.stream(b"{")
    answer = sql("SELECT count(*) FROM data JOIN dead_letters ON true", world.tables, Bounds())
    assert answer.table.to_pydict() == {"count_star()": [0]}
    world.stream(good(1))
    answer = sql("SELECT amount FROM data", world.tables, Bounds())
    assert [str(value) for value in answer.table["amount"].to_pylist()] == ["12.50"]
