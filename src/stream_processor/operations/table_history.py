"""`table history`: who changed a table, when, and which offsets came with it, by its log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from stream_processor.operations.snapshots import Snapshot
from stream_processor.sinks import delta_log
from stream_processor.sinks.delta_foreign import is_foreign
from stream_processor.sinks.delta_log import Commit, note_of

_ROWS = ("num_added_rows", "numOutputRows", "num_output_rows")


@dataclass(frozen=True, slots=True)
class Moved:
    """The offsets of one partition that a batch made durable: `since` <= offset < `upto`."""

    topic: str
    topic_id: str
    partition: int
    since: int
    upto: int


@dataclass(frozen=True, slots=True)
class Version:
    """One commit. `kind` is what it was for where it is ours, like `batch`; else None.

    `foreign`: another engine changed the table, or somebody with the library that we use. Numbers
    are None where nobody wrote them down.
    """

    version: int
    at: str | None
    operation: str
    engine: str
    kind: str | None
    foreign: bool
    rows: int | None
    dead_letters: int | None
    offsets: tuple[Moved, ...]


@dataclass(frozen=True, slots=True)
class History:
    """The newest versions of a table, the newest first; `complete` when there are no older ones."""

    uri: str
    versions: tuple[Version, ...]
    complete: bool

    def as_json(self) -> dict[str, Any]:
        """For `table history --json`."""
        return asdict(self)


def history(table: Snapshot, limit: int) -> History:
    """The newest `limit` versions. Called by `stream-processor table history`.

    Older ones than the log still has are not told. Raises `Unavailable`.
    """
    found = list(islice(delta_log.commits_backwards(table.store, table.version), limit + 1))
    return History(
        uri=table.uri,
        versions=tuple(_version(commit) for commit in found[:limit]),
        complete=len(found) <= limit,
    )


def _version(commit: Commit) -> Version:
    note = note_of(commit)
    parts = note.get("partitions", {})
    return Version(
        version=commit.version,
        at=moment(commit),
        operation=commit.operation,
        engine=str(commit.info.get("engineInfo") or "not named"),
        kind=str(note.get("kind", "")) or None,
        foreign=is_foreign(commit),
        rows=_rows(commit),
        dead_letters=sum(part.get("dead", 0) for part in parts.values()) if parts else None,
        offsets=tuple(_moved(parts)),
    )


def moment(commit: Commit) -> str | None:
    """When a commit was made, RFC 3339, by the clock of who made it."""
    stamp = commit.info.get("timestamp")
    if not isinstance(stamp, int):
        return None
    found = datetime.fromtimestamp(stamp / 1000, UTC)
    return found.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _rows(commit: Commit) -> int | None:
    """How many rows a commit added, as its engine says; each has its own word for it."""
    metrics = commit.info.get("operationMetrics") or {}
    told = [metrics[name] for name in _ROWS if name in metrics]
    return int(told[0]) if told else None


def _moved(parts: dict[str, Any]) -> Iterator[Moved]:
    for name, part in parts.items():
        topic_id, _, partition = name.rpartition("/")
        if partition.isdecimal() and "from" in part and "to" in part:
            yield Moved(
                topic=str(part.get("topic", topic_id)),
                topic_id=topic_id,
                partition=int(partition),
                since=int(part["from"]),
                upto=int(part["to"]),
            )
