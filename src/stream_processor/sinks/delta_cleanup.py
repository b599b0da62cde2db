"""Removes old entries of a table's log: maintenance's business alone (commit protocol, a.8).

By the rules of the Delta protocol, "Metadata Cleanup": everything before a checkpoint that is old
enough goes, so every later version can still be read. The library can do it too, but knows nothing
of a limit, and up to where ranges are folded is one.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from deltalake import DeltaTable

from stream_processor.ports import ObjectStore
from stream_processor.sinks import delta_log
from stream_processor.sinks.delta_create import interval_seconds

_LOG = "_delta_log/"
_ENTRY = re.compile(
    r"(\d{20})\.(?:json|crc|checkpoint(?:\.\d{10}\.(\d{10})|\.[0-9a-f-]{36})?\.(?:parquet|json)"
    r"|\d{20}\.compacted\.json)"
)
_RETENTION = "delta.logRetentionDuration"
_DAY_SECONDS = 86_400.0
_DEFAULT_SECONDS = 30 * _DAY_SECONDS


@dataclass(frozen=True, slots=True)
class Expired:
    """What may go: all `keys`, which are older than the checkpoint of version `before`."""

    before: int
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Log:
    """What a log consists of: the keys of its entries, the versions that have a commit, and those
    that have a whole checkpoint; all ascending."""

    entries: tuple[tuple[int, str], ...]
    commits: tuple[int, ...]
    checkpoints: tuple[int, ...]

    @property
    def oldest(self) -> int | None:
        """The oldest version whose commit is there."""
        return self.commits[0] if self.commits else None


def log_retention_seconds(table: DeltaTable) -> float:
    """How long the table promises to keep its log: 30 days where nothing is set, never less than
    a day, since a delayed write must meet its entry (a.8, rule 2)."""
    found = table.metadata().configuration.get(_RETENTION)
    return max(_DAY_SECONDS, interval_seconds(found) if found else _DEFAULT_SECONDS)


def read_log(store: ObjectStore) -> Log:
    """List the whole log once. Raises `Unavailable`."""
    entries: list[tuple[int, str]] = []
    commits: list[int] = []
    checkpoints: dict[tuple[int, int], int] = {}
    for key in store.list(_LOG):
        name = key.removeprefix(_LOG)
        match = _ENTRY.fullmatch(name)
        if match is None:
            continue
        version = int(match[1])
        entries.append((version, key))
        if name == f"{match[1]}.json":
            commits.append(version)
        elif ".checkpoint" in name:
            parts = (version, int(match[2] or 1))
            checkpoints[parts] = checkpoints.get(parts, 0) + 1
    whole = {version for (version, of), found in checkpoints.items() if found >= of}
    return Log(tuple(sorted(entries)), tuple(sorted(commits)), tuple(sorted(whole)))


def oldest_version(store: ObjectStore, head: int) -> int:
    """The oldest version whose entry the log still has, by the beginning of one list."""
    for key in store.list(_LOG):
        name = key.removeprefix(_LOG)
        if name.endswith(".json") and name[:-5].isdecimal():
            return int(name[:-5])
    return head


def expired(store: ObjectStore, log: Log, limit: int, before_ms: float) -> Expired | None:
    """What is older than the moment, and goes without a loss; None where nothing is.

    `limit`: entries of later versions stay, whatever their age. Some small reads.
    """
    there = frozenset(log.commits)
    usable = [version for version in log.checkpoints if version <= limit + 1 and version in there]

    def moment(version: int) -> int:
        return delta_log.commit_at(store, version).written_ms or 2**62

    place = bisect_right(usable, before_ms, key=moment)
    if place == 0:
        return None
    before = usable[place - 1]
    keys = tuple(key for version, key in log.entries if version < before)
    return Expired(before, keys) if keys else None


def remove(store: ObjectStore, keys: Iterable[str]) -> int:
    """Remove these entries, the oldest first: a death leaves a log that is shorter and whole."""
    removed = 0
    for key in keys:
        store.delete(key)
        removed += 1
    return removed
