"""`schema diff`: the verdict that a run would give, before anything runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from stream_processor.cli import schema
from stream_processor.config.pipeline import StorageConfig
from stream_processor.errors import TableRefused
from stream_processor.operations.schema_diff import Difference, SchemaDiff
from stream_processor.runtime.object_store import open_store
from stream_processor.sinks.delta_create import (
    TableSpec,
    create,
    load,
    own,
    refuse_unless_writable,
)
from tests.unit.cli.conftest import Command, Golden
from tests.unit.cli.hostile import NASTY, assert_harmless, assert_no_markup

PIPELINE = """
version: 1
name: orders
source: {kafka: {bootstrap_servers: "127.0.0.1:9", topics: [orders]}}
schema: {file: schema.yaml}
sink: {delta: {table: ./lake/orders}}
"""
SCHEMA = """
version: 1
name: orders
fields:
  - {name: order_id, type: string, required: true}
  - {name: qty, type: int}
  - {name: price, type: "decimal(5,2)"}
  - {name: note, type: string}
"""
KAFKA = [
    ("_kafka_topic", pa.string()),
    ("_kafka_topic_id", pa.string()),
    ("_kafka_partition", pa.int32()),
    ("_kafka_offset", pa.int64()),
    ("_kafka_timestamp", pa.timestamp("us", "UTC")),
    ("_ingested_at", pa.timestamp("us", "UTC")),
    ("_rescued", pa.string()),
]
COLUMNS = {"order_id": pa.string(), "qty": pa.int32(), "price": pa.decimal128(5, 2)}


def written(folder: Path, schema_text: str = SCHEMA) -> None:
    (folder / "pipeline.yaml").write_text(PIPELINE)
    (folder / "schema.yaml").write_text(schema_text)


def table(folder: Path, pipeline_id: str = "orders", **columns: pa.DataType) -> TableSpec:
    fields = pa.schema([*columns.items(), *KAFKA])
    spec = TableSpec(str(folder / "lake" / "orders"), fields, pipeline_id)
    own(spec, create(spec, open_store(spec.uri, StorageConfig())))
    return spec


def test_before_the_first_run(command: Command, tmp_path: Path) -> None:
    """There is nothing to break yet, and looking makes no table."""
    written(tmp_path)
    done = command("schema", "diff", "pipeline.yaml")
    assert done.code == 0
    assert done.out.splitlines()[-1] == "compatible: the first run creates it with 11 columns"
    assert not (tmp_path / "lake").exists()


def test_nothing_changed(command: Command, tmp_path: Path) -> None:
    """The commonest answer is the shortest."""
    written(tmp_path)
    table(tmp_path, **COLUMNS, note=pa.string())
    done = command("schema", "diff", "pipeline.yaml")
    assert done.code == 0
    assert done.out.endswith("compatible: the table has exactly the columns of the schema file\n")


def test_compatible(command: Command, golden: Golden, tmp_path: Path) -> None:
    """New, removed and wider columns: each with what follows for rows, in words of the file."""
    written(tmp_path, SCHEMA + "  - {name: coupon, type: string, required: true}\n")
    table(tmp_path, **(COLUMNS | {"qty": pa.int64()}), region=pa.string())
    version = DeltaTable(str(tmp_path / "lake" / "orders")).version()
    done = command("schema", "diff", "pipeline.yaml")
    assert done.code == 0
    golden("schema-diff-compatible", done.out.replace(str(tmp_path), "."))
    assert DeltaTable(str(tmp_path / "lake" / "orders")).version() == version


def test_breaking(command: Command, golden: Golden, tmp_path: Path) -> None:
    """Exit 1, so that a deployment stops, and for each reason a way out."""
    written(tmp_path, SCHEMA.replace("qty, type: int", "qty, type: long"))
    table(tmp_path, "else", **(COLUMNS | {"price": pa.string()}), Note=pa.string())
    done = command("schema", "diff", "pipeline.yaml")
    assert done.code == 1
    golden("schema-diff-breaking", done.out.replace(str(tmp_path), "."))


def test_json(command: Command, tmp_path: Path) -> None:
    """A pipeline of deployments reads the verdict, and tells its author why."""
    written(tmp_path, SCHEMA.replace("qty, type: int", "qty, type: long"))
    table(tmp_path, **COLUMNS)
    done = command("schema", "diff", "pipeline.yaml", "--json")
    assert done.code == 1
    found = json.loads(done.out)
    assert found["verdict"] == "breaking"
    kinds = {(each["column"], each["verdict"], each["kind"]) for each in found["differences"]}
    assert kinds == {("qty", "breaking", "type"), ("note", "compatible", "added")}


@pytest.mark.parametrize("change", ["id", "type", "partitions"])
def test_what_it_calls_breaking_is_what_a_run_refuses(
    command: Command, tmp_path: Path, change: str
) -> None:
    """A verdict that differs from the start's is worse than none."""
    written(tmp_path)
    columns = COLUMNS | ({"qty": pa.string()} if change == "type" else {})
    spec = table(tmp_path, "else" if change == "id" else "orders", **columns)
    wanted = replace(
        spec,
        pipeline_id="orders",
        schema=pa.schema([*COLUMNS.items(), *KAFKA]),
        partition_by=("qty",) if change == "partitions" else (),
    )
    if change == "partitions":
        path = tmp_path / "pipeline.yaml"
        path.write_text(PIPELINE.replace("orders}}", "orders, partition_by: [qty]}}"))
    found = load(spec)
    assert found is not None
    with pytest.raises(TableRefused):
        refuse_unless_writable(wanted, found)
    assert command("schema", "diff", "pipeline.yaml").code == 1


def test_strangers_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Names of columns are somebody's words."""
    difference = Difference("breaking", "type", NASTY, NASTY, NASTY)
    schema.show(SchemaDiff(NASTY, NASTY, 3, 1, (difference,)))
    out = capsys.readouterr().out
    assert_harmless(out)
    assert_no_markup(out)
