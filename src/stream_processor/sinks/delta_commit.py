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
WRITER = WriterProperties(compression="SNAPPY", max_row_group_size=250_000)

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
    with mapped(uri, "committing to"):
        write_deltalake(
            table,
            rows,
            mode="append",
            writer_properties=WRITER,
            commit_properties=properties(txns, note),
            post_commithook_properties=AFTER_COMMIT,
        )


def properties(txns: Mapping[str, int], note: Mapping[str, Any]) -> CommitProperties:
    """What every commit of ours carries, whatever it does to the table."""
    now_ms = int(time.time() * 1000)
    told = {"format": FORMAT, "batch": uuid.uuid4().hex, **note}
    return CommitProperties(
        custom_metadata={"stream_processor": json.dumps(told, separators=(",", ":"))},
        max_commit_retries=_COMMIT_RETRIES,
        app_transactions=[Transaction(name, version, now_ms) for name, version in txns.items()],
    )
