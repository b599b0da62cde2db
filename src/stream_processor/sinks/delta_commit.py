"""One append to a Delta table on a held handle: the only call that writes rows or `txn` ids.

The handle's version is the lock (commit protocol, a.2): the commit succeeds if and only if nobody
has committed anything for one of these ids since. So the handle is passed, never the address.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from deltalake import (
    ColumnProperties,
    CommitProperties,
    DeltaTable,
    PostCommitHookProperties,
    Transaction,
    WriterProperties,
    write_deltalake,
)

from stream_processor.sinks.delta_create import FORMAT
from stream_processor.sinks.delta_errors import mapped

# The library's loop over conflicting versions has no pause, so it is short; ours has jitter.
_COMMIT_RETRIES = 15
_ROW_GROUP_ROWS_MAX = 250_000
_ROW_GROUP_BYTES = 16 * 2**20  # the library holds a group in memory until it is complete
_PIECE_ROWS_MAX = 4_096
_PIECE_BYTES = 1 * 2**20  # it copies each piece by partitions, and holds several of them
WRITER = WriterProperties(compression="SNAPPY", max_row_group_size=_ROW_GROUP_ROWS_MAX)

_DISTINCT = ("dlq_id", "offset", "key", "value", "value_sha256", "value_preview")
_OF_DISTINCT = {name: ColumnProperties(dictionary_enabled=False) for name in _DISTINCT}
"""Columns of dead letters that hold hardly a value twice: a dictionary of them is work in vain."""

AFTER_COMMIT = PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=False)
"""Cleaning the log is maintenance's business alone (commit protocol, a.8, rules 9 and 13)."""


def commit(
    uri: str,
    table: DeltaTable,
    rows: pa.Table | None,
    txns: Mapping[str, int],
    note: Mapping[str, Any],
) -> None:
    """Append rows, or none, with these `txn` ids; the handle is then at the version it made.

    `note` is kept in the log under `stream_processor`. Raises `Fenced` when another writer was
    faster, and `Unavailable`; after either the outcome is unknown, and the table decides.
    """
    if rows is None:
        rows = pa.schema(table.schema().to_arrow()).empty_table()
    row_bytes = max(1, rows.nbytes // max(1, rows.num_rows))
    piece_rows = max(1, min(_PIECE_ROWS_MAX, _PIECE_BYTES // row_bytes))
    with mapped(uri, "committing to"):
        write_deltalake(
            table,
            rows.to_reader(max_chunksize=piece_rows),
            mode="append",
            writer_properties=_writer(rows, row_bytes),
            commit_properties=properties(txns, note),
            post_commithook_properties=AFTER_COMMIT,
        )


def _writer(rows: pa.Table, row_bytes: int) -> WriterProperties:
    """How to write these: some rows are wide, so a row group has a bound in bytes too."""
    return WriterProperties(
        compression="SNAPPY",
        max_row_group_size=rows_per_group(row_bytes, _ROW_GROUP_BYTES),
        column_properties=_OF_DISTINCT if _DISTINCT[0] in rows.column_names else None,
    )


def rows_per_group(row_bytes: int, size_bytes: int) -> int:
    """How many rows of this size a row group takes, which has a bound in rows and one in bytes."""
    return max(1, min(_ROW_GROUP_ROWS_MAX, size_bytes // row_bytes))


def properties(txns: Mapping[str, int], note: Mapping[str, Any]) -> CommitProperties:
    """What every commit of ours carries, whatever it does to the table."""
    now_ms = int(time.time() * 1000)
    told = {"format": FORMAT, "batch": uuid.uuid4().hex, **note}
    return CommitProperties(
        custom_metadata={"stream_processor": json.dumps(told, separators=(",", ":"))},
        max_commit_retries=_COMMIT_RETRIES,
        app_transactions=[Transaction(name, version, now_ms) for name, version in txns.items()],
    )
