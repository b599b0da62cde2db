"""One pass over the log must say what the library says id by id, and never half of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import (
    CommitProperties,
    DeltaTable,
    PostCommitHookProperties,
    Transaction,
    write_deltalake,
)

from stream_processor.config.pipeline import StorageConfig
from stream_processor.errors import StoreUnavailable
from stream_processor.runtime.object_store import open_store
from stream_processor.sinks import delta_log
from stream_processor.sinks.delta_restore import restored_version

SCHEMA = pa.schema([pa.field("id", pa.int64())])


def write(table: DeltaTable, n: int, *, note: bool = True) -> None:
    """One commit that moves three ids."""
    write_deltalake(
        table,
        pa.table({"id": [n]}, schema=SCHEMA),
        mode="append",
        commit_properties=CommitProperties(
            custom_metadata={"stream_processor": "{}"} if note else None,
            app_transactions=[Transaction(f"p/t/{n % 3}", n), Transaction("p/t/0#epoch", n * 2)],
        ),
        post_commithook_properties=PostCommitHookProperties(
            create_checkpoint=False, cleanup_expired_logs=False
        ),
    )


@pytest.fixture
def table(tmp_path: Path) -> DeltaTable:
    return DeltaTable.create(str(tmp_path / "t"), schema=SCHEMA)


@pytest.mark.parametrize("checkpoint_at", [None, 3, 7, 12])
def test_all_ids_at_once_are_what_the_library_says(
    tmp_path: Path, table: DeltaTable, checkpoint_at: int | None
) -> None:
    """With and without a checkpoint before, between and at the version that is asked for."""
    for n in range(12):
        write(table, n)
        if checkpoint_at == n + 1:
            table.create_checkpoint()
    store = open_store(str(tmp_path / "t"), StorageConfig())
    for version in (5, 12):
        then = DeltaTable(str(tmp_path / "t"), version=version)
        found = delta_log.transactions(store, version)
        assert found
        assert found == {name: then.transaction_version(name) for name in found}


def test_a_log_with_a_hole_is_no_answer(tmp_path: Path, table: DeltaTable) -> None:
    """Half of the ids would move offsets back and double everything since."""
    for n in range(5):
        write(table, n)
    (tmp_path / "t" / "_delta_log" / f"{2:020}.json").unlink()
    with pytest.raises(StoreUnavailable, match="incomplete"):
        delta_log.transactions(open_store(str(tmp_path / "t"), StorageConfig()), 5)


def test_a_restore_since_our_last_commit_is_noticed(tmp_path: Path, table: DeltaTable) -> None:
    """By version or by time, and no longer once we have committed after it."""
    store = open_store(str(tmp_path / "t"), StorageConfig())
    for n in range(4):
        write(table, n)
    assert restored_version(store, table.version()) is None
    table.restore(2)
    write(table, 9, note=False)  # somebody else writes on
    assert restored_version(store, table.version()) == 2
    write(table, 10)
    assert restored_version(store, table.version()) is None
    stood = table.version()
    moment = datetime.now(UTC)
    while datetime.now(UTC) - moment < timedelta(milliseconds=1):
        """The log keeps whole milliseconds: the next commit must bear a later one."""
    write(table, 11)
    table.restore(moment)
    assert restored_version(store, table.version()) == stood


def test_half_a_checkpoint_is_left_alone(tmp_path: Path, table: DeltaTable) -> None:
    """A foreign writer that died between two parts must not make partitions look new."""
    for n in range(6):
        write(table, n)
    table.create_checkpoint()
    write(table, 6)
    log = tmp_path / "t" / "_delta_log"
    whole = log / f"{6:020}.checkpoint.parquet"
    whole.rename(log / f"{6:020}.checkpoint.{1:010}.{2:010}.parquet")
    (log / "_last_checkpoint").unlink()
    found = delta_log.transactions(open_store(str(tmp_path / "t"), StorageConfig()), 7)
    assert found == {"p/t/0": 6, "p/t/1": 4, "p/t/2": 5, "p/t/0#epoch": 12}


def test_a_job_on_dead_letters_does_not_hide_a_restore(tmp_path: Path, table: DeltaTable) -> None:
    """Only a stream looks for a restore before it writes: a purge after one must not cover it."""
    for n in range(4):
        write(table, n)
    table.restore(2)
    properties = CommitProperties(
        custom_metadata={"stream_processor": '{"kind":"purge"}'},
        app_transactions=[Transaction("orders/#actions", 1)],
    )
    write_deltalake(table, pa.table({"id": [9]}), mode="append", commit_properties=properties)
    assert restored_version(open_store(str(tmp_path / "t"), StorageConfig()), table.version()) == 2
