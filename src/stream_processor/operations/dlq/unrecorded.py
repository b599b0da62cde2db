"""Which events a replay has made rows and has not named in the ledger yet, by what the log says.

A replay makes a step durable first and names it second. At most one step is unnamed: each job names
what an earlier one could not, before it makes its own.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from stream_processor.operations.dlq.replay_places import IDENTITY
from stream_processor.operations.snapshots import Snapshot
from stream_processor.ports import ObjectStore
from stream_processor.schema import records
from stream_processor.sinks import delta_log
from stream_processor.sinks.delta_desk import LastWrite, last_write, named_id, write_id
from stream_processor.sinks.delta_log import Commit, note_of

ROWS = "replay"
"""The kind of the commits in the data table that a replay into it makes."""


def unrecorded_events(
    pipeline_id: str, data: Snapshot, ledger: Snapshot | None
) -> Iterator[pa.RecordBatch]:
    """Their coordinates, columns `IDENTITY`. Called by `verify`, which opened the ledger last.

    Nothing for a step that went to a topic. Raises `Unavailable`.
    """
    last = last_write(pipeline_id, data.txns, data.table)
    if last is None:
        return
    named = ledger.txns.get(named_id(pipeline_id, last.table_id), 0) if ledger else 0
    if last.number <= named:
        return
    commit = commit_of(data.store, pipeline_id, last)
    if commit is not None and note_of(commit).get("kind") == ROWS:
        yield from added_events(data.store, commit.version)


def commit_of(store: ObjectStore, pipeline_id: str, step: LastWrite) -> Commit | None:
    """The commit of the data table that this step made; None when the log has it no more."""
    wanted = write_id(pipeline_id)
    for commit in delta_log.commits_between(store, step.base):
        if commit.txns.get(wanted) == step.number:
            return commit
    return None


def added_events(store: ObjectStore, version: int) -> Iterator[pa.RecordBatch]:
    """The coordinates in the files that a commit added; a file that is gone says nothing."""
    for added in delta_log.added_files(store, version):
        try:
            data = store.get(unquote(added["path"]))
        except FileNotFoundError:
            continue
        yield _identities(pq.ParquetFile(io.BytesIO(data)), added["partitionValues"])


def _identities(file: pq.ParquetFile, values: Mapping[str, str | None]) -> pa.RecordBatch:
    """The identity columns of a data file; what the table is partitioned by stands in the log."""
    rows = file.read(columns=[name for name in records.ROW_IDENTITY if name not in values])
    types = [pa.string(), pa.string(), pa.int32(), pa.int64()]
    columns = [
        pa.repeat(pa.scalar(values[name], pa.string()), rows.num_rows).cast(kind)
        if name in values
        else rows[name].cast(kind).combine_chunks()
        for name, kind in zip(records.ROW_IDENTITY, types, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, names=list(IDENTITY))
