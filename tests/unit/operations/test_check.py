"""What `check --connect` says of stores and tables, without touching them."""

from __future__ import annotations

import socket
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from stream_processor.config.fields import SchemaFile
from stream_processor.config.pipeline import Pipeline, StorageConfig
from stream_processor.errors import StreamProcessorError, TableRefused
from stream_processor.operations import check
from stream_processor.operations.observe import secrets_of
from stream_processor.runtime.object_store import open_store
from stream_processor.sinks.delta_create import TableSpec, create, own

ROWS = pa.table({"id": pa.array([1, 2], pa.int64())})


def spec(folder: Path, pipeline_id: str = "orders") -> TableSpec:
    return TableSpec(str(folder / "table"), ROWS.schema, pipeline_id)


def made(wanted: TableSpec) -> None:
    own(wanted, create(wanted, open_store(wanted.uri, StorageConfig())))


def test_a_table_that_is_not_there_is_no_finding(tmp_path: Path) -> None:
    """The first run makes it, not the check."""
    assert check._table(spec(tmp_path)).endswith("the first run creates it")
    assert list(tmp_path.iterdir()) == []


def test_a_table_of_ours(tmp_path: Path) -> None:
    """Its version is named, and stays what it was."""
    made(spec(tmp_path))
    version = DeltaTable(spec(tmp_path).uri).version()
    assert check._table(spec(tmp_path)).endswith(f"version {version}, fits the schema")
    assert DeltaTable(spec(tmp_path).uri).version() == version


def test_the_table_of_another_pipeline(tmp_path: Path) -> None:
    """It would be refused at the start, so it is said now."""
    made(spec(tmp_path, "other"))
    with pytest.raises(TableRefused, match="belongs to the pipeline 'other'"):
        check._table(spec(tmp_path))


def test_a_table_with_rows_that_belongs_to_nobody(tmp_path: Path) -> None:
    """Taking it over is a person's decision, and the hint says how."""
    write_deltalake(spec(tmp_path).uri, ROWS)
    with pytest.raises(TableRefused) as refused:
        check._table(spec(tmp_path))
    assert "run --adopt" in refused.value.hint


def test_a_store_in_a_folder(tmp_path: Path) -> None:
    """Whether the folder is there or not, nothing is made."""
    folder = tmp_path / "a b" / "table"
    assert "to be made by the first run" in check._store(str(folder), StorageConfig())
    assert "to be made by the first run" in check._store(folder.as_uri(), StorageConfig())
    assert list(tmp_path.iterdir()) == []
    assert check._store(str(tmp_path), StorageConfig()) == f"{tmp_path}: a local folder"


def test_a_broker_that_is_away_is_told_while_the_person_still_looks() -> None:
    """Ten seconds of nothing look like a hang. The reason must be there all the same."""
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody_listens.getsockname()[1]}"
        pipeline = Pipeline.model_validate(
            {
                "version": 1,
                "name": "orders",
                "source": {"kafka": {"bootstrap_servers": address, "topics": ("orders",)}},
                "schema": {"file": "orders.yaml"},
                "sink": {"delta": {"table": "orders"}},
            }
        )
        fields = [{"name": "a", "type": "int"}]
        schema = SchemaFile.model_validate({"version": 1, "name": "a", "fields": fields})
        probe = next(check.probes(pipeline, schema))
    assert not probe.ok
    assert "Connection refused" in probe.text
    assert "bootstrap_servers" in probe.hint
    assert probe.seconds < 9  # a run gives it ten


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    """The first run would fail there; the sentence names the very file."""
    (tmp_path / "lake").write_text("")
    with pytest.raises(StreamProcessorError, match="lake is no folder"):
        check._store(str(tmp_path / "lake" / "orders"), StorageConfig())


def test_every_secret_of_a_pipeline_is_known_to_the_log() -> None:
    """Wherever the file may hold one, also in raw settings of a client."""
    storage = {"access_key_id": "s1-key", "secret_access_key": "s2-key"}
    pipeline = Pipeline.model_validate(
        {
            "version": 1,
            "name": "orders",
            "source": {
                "kafka": {
                    "bootstrap_servers": "b:9092",
                    "topics": ("orders",),
                    "security": {"protocol": "SASL_SSL", "password": "s3-password"},
                    "properties": {"sasl.oauthbearer.client.secret": "s4-secret", "a.b": "plain"},
                }
            },
            "schema": {"file": "schema.yaml"},
            "sink": {"delta": {"table": "s3://b/t", "storage": storage}},
            "dlq": {"storage": {"options": {"aws_session_token": "s5-token"}}},
        }
    )
    assert secrets_of(pipeline) == {"s1-key", "s2-key", "s3-password", "s4-secret", "s5-token"}
