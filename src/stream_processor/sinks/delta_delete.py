"""Removes rows of a Delta table, and later their files: for purge, erase and maintenance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deltalake import DeltaTable

from stream_processor.sinks.delta_commit import AFTER_COMMIT, WRITER, properties
from stream_processor.sinks.delta_create import interval_seconds
from stream_processor.sinks.delta_errors import mapped
from stream_processor.sinks.delta_predicates import Predicate

WEEK_HOURS = 168
_RETENTION = "delta.deletedFileRetentionDuration"


def delete(
    uri: str,
    table: DeltaTable,
    predicate: Predicate,
    txns: Mapping[str, int],
    note: Mapping[str, Any],
) -> int:
    """Remove the rows of the held snapshot for which the predicate holds; return how many.

    One commit with these `txn` ids, or none at all where no row is meant. The bytes stay in files
    that the table no longer names until vacuum. Raises `Fenced` when another writer has added rows
    that may be meant, or removed some, since the snapshot, and `Unavailable`.
    """
    with mapped(uri, "deleting from"):
        told = table.delete(
            predicate.text,
            writer_properties=WRITER,
            commit_properties=properties(txns, note),
            post_commithook_properties=AFTER_COMMIT,
        )
    return int(told.get("num_deleted_rows") or 0)


def retention_seconds(table: DeltaTable) -> float:
    """How long the table keeps files that it no longer names: a week where nothing is set."""
    found = table.metadata().configuration.get(_RETENTION)
    return interval_seconds(found) if found else WEEK_HOURS * 3600.0


def vacuumable(uri: str, table: DeltaTable) -> int:
    """How many files `vacuum` would remove now. Raises `Unavailable`."""
    with mapped(uri, "reading the log of"):
        removed = table.vacuum(dry_run=True)
        orphans = table.vacuum(retention_hours=_orphan_hours(table), full=True, dry_run=True)
    return len({*removed, *orphans})


def vacuum(uri: str, table: DeltaTable, txns: Mapping[str, int], note: Mapping[str, Any]) -> int:
    """Remove files that the table has not named for longer than it promises; return how many.

    What a commit removed goes after the table's own retention. Files that no commit ever named go
    after a week at least, since a commit in flight may be about to name them (a.8, rule 6).
    Raises `Unavailable`.
    """
    week = _orphan_hours(table)
    told = properties(txns, note)
    with mapped(uri, "vacuuming"):
        removed = table.vacuum(
            dry_run=False, commit_properties=told, post_commithook_properties=AFTER_COMMIT
        )
        orphans = table.vacuum(
            retention_hours=week,
            full=True,
            dry_run=False,
            commit_properties=told,
            post_commithook_properties=AFTER_COMMIT,
        )
    return len(removed) + len(orphans)


def _orphan_hours(table: DeltaTable) -> int:
    return max(WEEK_HOURS, -(-int(retention_seconds(table)) // 3600))
