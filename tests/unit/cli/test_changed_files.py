"""A run that waits for a person notices what the person did to its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream_processor.cli import changed_files
from stream_processor.cli.changed_files import ChangedFiles
from stream_processor.runtime.config_loader import LoadedPipeline, load_pipeline

PIPELINE = """version: 1
name: orders
source: {kafka: {bootstrap_servers: "localhost:1", topics: [orders]}}
schema: {file: schema.yaml}
sink: {delta: {table: ./lakehouse/orders}}
"""
SCHEMA = "version: 1\nname: orders\nfields: [{name: a, type: int}]\n"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def files(tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch) -> ChangedFiles:
    monkeypatch.setattr(changed_files, "_LOOK_SECONDS", 0.0)
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    (tmp_path / "schema.yaml").write_text(SCHEMA)

    def read() -> LoadedPipeline:
        return load_pipeline(tmp_path / "pipeline.yaml", environment={}, overrides={})

    return ChangedFiles(read(), read, said.append)


def rewrite(path: Path, text: str) -> None:
    """As an editor does: another file under the same name."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def test_a_changed_schema_is_taken(files: ChangedFiles, tmp_path: Path) -> None:
    """The person mends the schema and expects the stream to go on."""
    assert files() is False
    rewrite(tmp_path / "schema.yaml", SCHEMA.replace("int", "string"))
    assert files() is True
    changed = files.changed()
    assert changed is not None
    assert changed.now.schema_file.fields[0].type == "string"
    assert changed() is False


def test_a_wrong_file_is_told_once_and_changes_nothing(
    files: ChangedFiles, tmp_path: Path, said: list[str]
) -> None:
    """A half-written file must not end a run that only waits."""
    rewrite(tmp_path / "schema.yaml", SCHEMA.replace("int", "integer"))
    assert [files(), files(), files()] == [False] * 3
    assert len(said) == 1
    (tmp_path / "schema.yaml").unlink()
    assert files() is False
    assert files.changed() is None
    rewrite(tmp_path / "schema.yaml", SCHEMA)
    assert files() is True
