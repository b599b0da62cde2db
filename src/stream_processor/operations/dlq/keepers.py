"""The tables of one pipeline for a job that takes something out of them: purge or erase."""

from __future__ import annotations

from dataclasses import dataclass

from stream_processor.errors import StreamProcessorError
from stream_processor.operations.assemble import (
    data_table,
    dead_letter_table,
    desk,
    ledger,
    plan_of,
)
from stream_processor.operations.dlq.archive import Archive
from stream_processor.operations.snapshots import Tables, tables_of
from stream_processor.ports import KillPoint, ObjectStore, never
from stream_processor.runtime.config_loader import LoadedPipeline
from stream_processor.runtime.object_store import open_store
from stream_processor.sinks.delta_create import TableSpec
from stream_processor.sinks.delta_desk import Desk
from stream_processor.sinks.delta_ledger import Ledger


@dataclass(frozen=True, slots=True)
class Place:
    """A folder or prefix of the pipeline, and the store that it is in."""

    uri: str
    store: ObjectStore


@dataclass(frozen=True, slots=True)
class Keepers:
    """The tables, and whoever may write to them. Made by `keepers_of`; nothing is contacted yet."""

    tables: Tables
    data: TableSpec
    letters: TableSpec
    desk: Desk
    ledger: Ledger
    archive: Archive

    def places(self) -> tuple[Place, ...]:
        """Everywhere that an event of this pipeline may have left its bytes."""
        tables = self.tables
        beside = [tables.dead_letters, tables.ledger, self.archive.uri]
        return (
            Place(tables.data, open_store(tables.data, tables.storage)),
            *(Place(uri, open_store(uri, tables.dead_letter_storage)) for uri in beside),
        )


def keepers_of(loaded: LoadedPipeline, run_id: str, kill_point: KillPoint = never) -> Keepers:
    """Called by the verbs `dlq purge` and `dlq erase`. Raises `ConfigurationError`."""
    pipeline = loaded.pipeline
    plan = plan_of(pipeline, loaded.schema_file)
    archive = f"{pipeline.dead_letter_table}_archive"
    return Keepers(
        tables=tables_of(pipeline),
        data=data_table(pipeline, plan),
        letters=dead_letter_table(pipeline),
        desk=desk(pipeline, plan, run_id, kill_point),
        ledger=ledger(pipeline),
        archive=Archive(archive, open_store(archive, pipeline.dead_letter_storage)),
    )


def refuse_unrecorded(keepers: Keepers) -> None:
    """Raise while a replay's last step is not in the ledger: what it says would not be true.

    To be called at the desk.
    """
    last = keepers.desk.last_write
    if last is not None and not keepers.ledger.names(last):
        raise StreamProcessorError(
            "a replay ended before it could say in the ledger what it had done",
            hint="run any `dlq replay`: it completes the ledger first; then start this again",
        )
