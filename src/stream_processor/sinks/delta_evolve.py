"""Adds columns to a Delta table on a held handle: one commit that carries our `txn` ids.

A change of the metadata makes the next commit of every other held handle a conflict, so other
processes of the pipeline forget their batch, look at the table again and go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, Schema

from stream_processor.errors import TableRefused
from stream_processor.schema.evolution import columns_to_add
from stream_processor.sinks.delta_commit import AFTER_COMMIT, properties
from stream_processor.sinks.delta_create import TableSpec
from stream_processor.sinks.delta_errors import mapped


def missing_columns(spec: TableSpec, table: DeltaTable) -> pa.Schema:
    """What the table needs before rows of this shape can be written; usually nothing."""
    return columns_to_add(pa.schema(table.schema().to_arrow()), spec.schema)


def refuse_missing_columns(spec: TableSpec, table: DeltaTable) -> None:
    """Raise `TableRefused` where a verb that only moves rows would need a new column."""
    missing = missing_columns(spec, table).names
    if missing:
        raise TableRefused(
            f"{spec.uri} has no column {', '.join(map(repr, missing))} yet",
            hint="start `run` with this schema file: it adds new columns; then start this again",
        )


def add_columns(
    uri: str,
    table: DeltaTable,
    missing: pa.Schema,
    txns: Mapping[str, int],
    note: Mapping[str, Any],
) -> None:
    """Add what `missing_columns` found in one commit; the handle is then at the version it made.

    `txns` must name all owned partitions, as every commit of ours (commit protocol, a.8, rule 6).
    Raises `Fenced` when another writer was faster, and `Unavailable`.
    """
    told = {"kind": "columns", "columns": missing.names, **note}
    # A column of a table that holds rows can only be nullable.
    fields = Schema.from_arrow(pa.schema([field.with_nullable(True) for field in missing])).fields  # noqa: FBT003
    with mapped(uri, "adding columns to"):
        table.alter.add_columns(
            fields,
            commit_properties=properties(txns, told),
            post_commithook_properties=AFTER_COMMIT,
        )
