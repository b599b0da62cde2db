"""Folds what the commits of a table say of offsets into rows, before its log is cleaned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable

from stream_processor.errors import InternalError, StoreUnavailable
from stream_processor.operations.dlq.replay_request import Surroundings
from stream_processor.operations.maintain.places import Place
from stream_processor.schema.offset_ranges import OFFSET_RANGE
from stream_processor.sinks import delta_log
from stream_processor.sinks.delta_cleanup import Log
from stream_processor.sinks.delta_log import Commit, note_of

COMMITS_PER_STEP = 5_000
_HOLES_PER_ROW_MAX = 10_000  # of a compacted topic each commit may name 1,000
_READERS = 8  # small reads of a store wait, mostly


@dataclass(frozen=True, slots=True)
class Unfolded:
    """The versions [first, upto] of a table are in its log and not folded yet.

    `missing` versions before `first` were cleaned by somebody else: what they said is gone.
    """

    first: int
    upto: int
    missing: int

    @property
    def commits(self) -> int:
        """How many."""
        return max(0, self.upto - self.first + 1)


def unfolded(place: Place, table: DeltaTable, log: Log) -> Unfolded:
    """What is to be folded, by one look at both tables. Raises `Unavailable`, `TableRefused`."""
    if place.ranges is None:
        raise InternalError(f"the log of the {place.name} is not folded")
    folded = place.ranges.folded_upto(_table_id(table))
    wanted = 0 if folded is None else folded + 1
    first = max(wanted, log.oldest or 0)
    return Unfolded(first, int(table.version()), first - wanted)


def fold(place: Place, table: DeltaTable, log: Log, around: Surroundings) -> int:
    """Fold all up to the handle's version, step by step; return how many commits.

    Each step is one commit of the ranges that also says how far they go. Ends between two steps
    when asked to. Raises `Fenced` when another folds too, and `Unavailable`.
    """
    if place.ranges is None:
        raise InternalError(f"the log of the {place.name} is not folded")
    done = 0
    while (left := unfolded(place, table, log)).commits and not around.stop.is_set():
        upto = min(left.upto, left.first + COMMITS_PER_STEP - 1)
        commits = _read(place, left.first, upto)
        around.kill_point("fold.before_step")
        place.ranges.append(ranges_of(commits, _table_id(table)), _table_id(table), upto)
        around.kill_point("fold.after_step")
        done += upto - left.first + 1
        around.progress(done, done + left.upto - upto)
    return done


def ranges_of(commits: Iterable[Commit], table_id: str) -> pa.Table:
    """The rows of these commits, as `OFFSET_RANGE`: batches that follow upon one another are one.

    Pure. The commits ascend.
    """
    open_ranges: dict[str, dict[str, Any]] = {}
    rows: list[dict[str, Any]] = []
    for commit in commits:
        for key, part in _parts(commit):
            row = _row(key, part, commit, table_id)
            before = open_ranges.get(key)
            if before is not None and _follows(row, before):
                _add(before, row)
            else:
                open_ranges[key] = row
                rows.append(row)
    for row in rows:
        counted = row["skipped"].items()
        row["skipped"] = [{"reason": reason, "count": count} for reason, count in counted]
    return pa.Table.from_pylist(rows, schema=OFFSET_RANGE)


def _parts(commit: Commit) -> Iterator[tuple[str, Mapping[str, Any]]]:
    note = note_of(commit)
    if note.get("kind") == "batch":
        yield from note.get("partitions", {}).items()


def _row(key: str, part: Mapping[str, Any], commit: Commit, table_id: str) -> dict[str, Any]:
    identity, _, number = key.rpartition("/")
    topic = str(part.get("topic", identity))
    at = datetime.fromtimestamp(commit.written_ms / 1000, UTC)
    return {
        "topic": topic,
        "topic_id": None if topic == identity else identity,
        "partition": int(number),
        "from_offset": int(part["from"]),
        "to_offset": int(part["to"]),
        **{name: int(part.get(name) or 0) for name in ("rows", "dead", "held", "superseded")},
        "skipped": {reason: int(count) for reason, count in (part.get("skipped") or {}).items()},
        "holes": _ranges(part.get("holes")),
        "gaps": _ranges(part.get("gaps")),
        "commits": 1,
        "first_version": commit.version,
        "table_version": commit.version,
        "first_committed_at": at,
        "committed_at": at,
        "table_id": table_id,
    }


def _ranges(pairs: Iterable[tuple[int, int]] | None) -> list[dict[str, int]]:
    return [{"from_offset": low, "to_offset": high} for low, high in pairs or ()]


def _follows(row: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    if len(before["holes"]) > _HOLES_PER_ROW_MAX:
        return False
    return bool(before["to_offset"] == row["from_offset"])


def _add(row: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name in ("rows", "dead", "held", "superseded", "commits"):
        row[name] += more[name]
    for name in ("holes", "gaps"):
        row[name] += more[name]
    for reason, count in more["skipped"].items():
        row["skipped"][reason] = row["skipped"].get(reason, 0) + count
    for name in ("to_offset", "table_version", "committed_at"):
        row[name] = more[name]


def _read(place: Place, first: int, upto: int) -> list[Commit]:
    """These commits in order. A missing one between others would be lost for ever: so it raises."""

    def read(version: int) -> Commit:
        try:
            return delta_log.commit_at(place.store, version)
        except FileNotFoundError as error:
            raise StoreUnavailable(
                f"version {version} is missing in the log of {place.spec.uri}",
                hint="restore the log entry; nothing of the log was cleaned",
            ) from error

    with ThreadPoolExecutor(_READERS, thread_name_prefix="fold") as pool:
        return list(pool.map(read, range(first, upto + 1)))


def _table_id(table: DeltaTable) -> str:
    return str(table.metadata().id)
