"""The tables of one pipeline as an auditor sees them: one fixed version each, read only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from stream_processor.config.pipeline import Pipeline, StorageConfig
from stream_processor.errors import ConfigurationError, TableRefused
from stream_processor.operations.delta_access import delta_options
from stream_processor.ports import Memory, ObjectStore, Partition
from stream_processor.runtime.object_store import open_store
from stream_processor.schema.offset_ranges import offsets_uri
from stream_processor.schema.positions import bare_id
from stream_processor.sinks import delta_ids, delta_log
from stream_processor.sinks.delta_create import owner
from stream_processor.sinks.delta_errors import mapped

Key = tuple[str, int]
"""`ports.Partition.key`: (topic id, or topic where there is none; partition)."""


@dataclass(frozen=True, slots=True)
class Tables:
    """Where one pipeline's tables are. Addresses are folders or `s3://bucket/prefix`."""

    pipeline_id: str
    data: str
    dead_letters: str
    storage: StorageConfig = field(default_factory=StorageConfig)
    dead_letter_storage: StorageConfig = field(default_factory=StorageConfig)

    @property
    def ledger(self) -> str:
        """What people did with dead letters; it lives beside them."""
        return f"{self.dead_letters}_actions"

    @property
    def offsets(self) -> str:
        """What cleaned entries of the data table's log said of offsets; it lives beside it."""
        return offsets_uri(self.data)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One table at one version, with what it remembers of the pipeline there.

    `txns` are all `txn` entries, where it was opened by one of the functions below.
    """

    uri: str
    table: DeltaTable
    store: ObjectStore
    version: int
    memory: Memory
    txns: Mapping[str, int] = field(default_factory=dict)


def tables_of(pipeline: Pipeline) -> Tables:
    """The tables that a pipeline file names. Called by `verify` and `status`."""
    return Tables(
        pipeline_id=pipeline.pipeline_id,
        data=pipeline.sink.delta.table,
        dead_letters=pipeline.dead_letter_table,
        storage=pipeline.sink.delta.storage,
        dead_letter_storage=pipeline.dead_letter_storage,
    )


def partitions_of(*memories: Memory) -> dict[Key, Partition]:
    """Every partition that the tables remember, with its topic's name where they know it."""
    names = {
        topic_id: name
        for memory in memories
        for name, ids in memory.topics.items()
        for topic_id in ids
    }
    found = {}
    for key in (key for memory in memories for key in memory.positions):
        name = names.get(bare_id(key[0]))
        found[key] = Partition(name or key[0], key[0] if name else None, key[1])
    return found


def superseded(partition: Partition, memory: Memory) -> bool:
    """Whether other events live at its offsets now: an accepted rewind, or a topic made again."""
    if partition.topic_id is None:
        return False
    own = bare_id(partition.topic_id)
    newer = partition.after_rewinds(partition.rewinds + 1).key
    return newer in memory.positions or memory.topics.get(partition.topic, (own,))[-1] != own


def open_data(tables: Tables) -> Snapshot:
    """The data table at its head.

    Open it before the dead letters: they are written first, so whatever this snapshot counts as
    done is then visible there, whoever is writing meanwhile.
    Raises `ConfigurationError` when there is no such table, `TableRefused` when it is another's.
    """
    snapshot = _open(tables.pipeline_id, tables.data, tables.storage)
    if snapshot is None:
        raise ConfigurationError(
            f"there is no table at {tables.data}",
            hint="check the table's address in the pipeline file; the first `run` creates it",
        )
    return snapshot


def open_dead_letters(tables: Tables) -> Snapshot | None:
    """The dead letter table at its head, or None when there is none (yet)."""
    return _open(tables.pipeline_id, tables.dead_letters, tables.dead_letter_storage)


def open_ledger(tables: Tables) -> Snapshot | None:
    """The ledger at its head, or None while nobody has acted. Open it last (records.md, 6)."""
    return _open(tables.pipeline_id, tables.ledger, tables.dead_letter_storage)


def open_offsets(tables: Tables) -> Snapshot | None:
    """The ranges of the data table at their head, or None before the first maintenance."""
    return _open(tables.pipeline_id, tables.offsets, tables.storage)


def _open(pipeline_id: str, uri: str, storage: StorageConfig) -> Snapshot | None:
    with mapped(uri, "opening"):
        try:
            table = DeltaTable(uri, storage_options=delta_options(storage))
        except TableNotFoundError:
            return None
        found = owner(table)
    if found not in (None, pipeline_id):
        raise TableRefused(
            f"{uri} belongs to the pipeline {found!r}, not to {pipeline_id!r}",
            hint="check the table's address and the pipeline's `id`",
        )
    version = table.version()
    store = open_store(uri, storage)
    with mapped(uri, "reading the log of"):
        txns = delta_log.transactions(store, version)
    return Snapshot(uri, table, store, version, delta_ids.read(pipeline_id, txns), txns)
