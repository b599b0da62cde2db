"""Joins small files of a table into larger ones, without a change to what it says.

OPTIMIZE of the Delta library marks its commit `dataChange=false`, so an append on an older handle
goes on behind it: a running stream is neither stopped nor fenced (failures, case 40).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, WriterProperties

from stream_processor.sinks.delta_commit import AFTER_COMMIT, properties, rows_per_group
from stream_processor.sinks.delta_errors import mapped
from stream_processor.sinks.delta_files import SMALL_FILE_BYTES

# Fewer in one partition are left alone: else each run would write the newest hours once more.
SMALL_FILES_MIN = 8

# One bin at a time bounds the memory; a commit now and then bounds what a death costs.
_TASKS_MAX = 1
_COMMIT_EVERY = timedelta(seconds=5)
_ROW_GROUP_BYTES = 64 * 2**20
_UNPACKED = 4  # how much larger rows are in memory than in a file, roughly
_FILTERED = (str, int, date, type(None))


@dataclass(frozen=True, slots=True)
class Group:
    """The small files that one step can join: those of one partition, by its columns' values as
    the log spells them; `values` is empty for the whole table. `oldest_ms` is when the first was
    written, by the clock of who wrote it."""

    values: tuple[tuple[str, str], ...]
    files: int
    rows: int
    size_bytes: int
    oldest_ms: int


@dataclass(frozen=True, slots=True)
class Compacted:
    """What one step did: `before` files of so many bytes became `after`."""

    before: int
    after: int
    size_bytes: int


def groups(uri: str, table: DeltaTable) -> list[Group]:
    """What compaction would join, the oldest first: partitions with several small files."""
    with mapped(uri, "reading the log of"):
        found = pa.table(table.get_add_actions())
    names = found.column_names
    places = found["partition"].to_pylist() if "partition" in names else [{}] * found.num_rows
    figures = [found[n].to_pylist() for n in ("num_records", "size_bytes", "modification_time")]
    files: defaultdict[_Values, list[tuple[int, int, int]]] = defaultdict(list)
    for place, rows, size, moment in zip(places, *figures, strict=True):
        if size < SMALL_FILE_BYTES:
            files[_values(place)].append((rows or 0, size, moment))
    many = [_group(values, each) for values, each in files.items() if len(each) >= SMALL_FILES_MIN]
    return sorted(many, key=lambda group: (group.oldest_ms, group.values))


def _group(values: _Values, files: list[tuple[int, int, int]]) -> Group:
    rows, sizes, moments = zip(*files, strict=True)
    return Group(values, len(files), sum(rows), sum(sizes), min(moments))


def compact(uri: str, table: DeltaTable, group: Group, note: Mapping[str, Any]) -> Compacted:
    """Join the small files of a group, as this snapshot knows them, in one or several commits.

    To be called in the turn of `delta_turn` alone, on its handle: the library drops our `txn` ids
    here, and lets two joins of the same files both succeed, so that every row would be double.
    Raises `Fenced` when somebody has removed some of the files since, and `Unavailable`.
    """
    with mapped(uri, "compacting"):
        told = table.optimize.compact(
            partition_filters=[(name, "=", value) for name, value in group.values] or None,
            max_concurrent_tasks=_TASKS_MAX,
            min_commit_interval=_COMMIT_EVERY,
            writer_properties=_writer(group),
            commit_properties=properties({}, note),
            post_commithook_properties=AFTER_COMMIT,
        )
    removed = told.get("filesRemoved")
    return Compacted(
        before=int(told["numFilesRemoved"]),
        after=int(told["numFilesAdded"]),
        size_bytes=_total(removed),
    )


def checkpoint(uri: str, table: DeltaTable) -> None:
    """Write a checkpoint of the handle's version, so that opening reads one file less by each
    commit that it sums up. Raises `Unavailable`."""
    with mapped(uri, "writing a checkpoint of"):
        table.create_checkpoint()


def _writer(group: Group) -> WriterProperties:
    """A row group is in memory until it is complete, and dead letters may be wide."""
    row_bytes = max(1, group.size_bytes // max(1, group.rows)) * _UNPACKED
    rows_max = rows_per_group(row_bytes, _ROW_GROUP_BYTES)
    return WriterProperties(compression="SNAPPY", max_row_group_size=rows_max)


_Values = tuple[tuple[str, str], ...]


def _values(place: Mapping[str, Any]) -> _Values:
    """As a filter of the library takes them; other types than these are not told apart."""
    values = place.values()
    if any(isinstance(value, bool) or not isinstance(value, _FILTERED) for value in values):
        return ()
    return tuple((name, "" if value is None else str(value)) for name, value in place.items())


def _total(metric: Any) -> int:
    """The library tells sizes as JSON in a text."""
    found = json.loads(metric) if isinstance(metric, str) else metric
    return int(found.get("totalSize", 0)) if isinstance(found, dict) else 0
