"""What a pipeline's tables say about how it is doing: read only, beside a running pipeline."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pyarrow as pa

from stream_processor.operations.dlq.letters import DeadLetters
from stream_processor.operations.dlq.selection import Selector
from stream_processor.operations.dlq.statuses import statuses_of
from stream_processor.operations.snapshots import (
    Snapshot,
    Tables,
    open_data,
    open_dead_letters,
    open_ledger,
    partitions_of,
    superseded,
)
from stream_processor.ports import Memory, Partition
from stream_processor.sinks import delta_log
from stream_processor.sinks.delta_cleanup import oldest_version
from stream_processor.sinks.delta_create import owner
from stream_processor.sinks.delta_files import files_of
from stream_processor.sinks.delta_foreign import merged, seen_in
from stream_processor.sinks.delta_log import Commit, note_of

COMMITS_SHOWN = 10
# How many commits are searched for the newest ones with rows, and for foreign writers.
_COMMITS_READ_MAX = 50

Ends = Callable[[Collection[Partition]], Mapping[Partition, int]]
"""Asks Kafka where each partition ends now; partitions that it does not know are left out."""


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """How far one partition is. `end` and `lag` are None where Kafka was not asked or is silent.

    `waiting`: dead letters are committed whose data half is not; normal for a moment while a batch
    is written, and after a crash until the restart. `superseded`: rewound or created again.
    `paused`: the breaker holds the stream here until a person goes on.
    """

    topic: str
    topic_id: str | None
    partition: int
    committed: int
    end: int | None
    lag: int | None
    waiting: bool
    superseded: bool
    paused: bool = False


@dataclass(frozen=True, slots=True)
class CommitStatus:
    """One commit of the data table. `seconds` is how long the Delta library wrote, if it says."""

    version: int
    at: str
    operation: str
    engine: str
    rows: int
    dead_letters: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class TableStatus:
    """The size of one table. `owner` is the pipeline that it belongs to.

    `small_files` are what `maintain` would join with others, `log_versions` what the log holds.
    """

    uri: str
    version: int
    owner: str | None
    files: int
    size_bytes: int
    rows: int
    small_files: int = 0
    log_versions: int = 0


@dataclass(frozen=True, slots=True)
class DeadLetterCount:
    """How many dead letters of one cause are in the table, and what is the case with them.

    `count` is all of them; those that are purged or erased and not removed yet have no number.
    """

    stage: str
    code: str
    count: int
    open: int = 0
    replayed: int = 0
    ignored: int = 0


@dataclass(frozen=True, slots=True)
class StatusReport:
    """Everything that `status` shows; values that become JSON as they stand.

    `foreign_writers` are engines other than ours that changed the data table in the last 7 days, as
    the newest commits and what ours carry of older ones say; `flooded` are the topics whose breaker
    was open behind the newest batch that moved them.
    """

    pipeline: str
    data: TableStatus
    dead_letter_table: TableStatus | None
    partitions: tuple[PartitionStatus, ...]
    commits: tuple[CommitStatus, ...]
    dead_letters: tuple[DeadLetterCount, ...]
    foreign_writers: tuple[str, ...]
    flooded: tuple[str, ...] = ()

    @property
    def lag(self) -> int | None:
        """Events that are in Kafka and not in the tables; None when no end is known."""
        known = [each.lag for each in self.partitions if each.lag is not None]
        return sum(known) if known else None

    @property
    def last_commit_at(self) -> str | None:
        """When the newest batch became durable, RFC 3339."""
        return self.commits[0].at if self.commits else None

    @property
    def waiting(self) -> str | None:
        """One sentence while dead letters wait for their data half."""
        parts = [f"{each.topic}[{each.partition}]" for each in self.partitions if each.waiting]
        if not parts:
            return None
        return (
            f"a batch waits for its data half in {', '.join(parts)}; the next commit completes it"
        )

    @property
    def flood(self) -> str | None:
        """One sentence while there are too many dead letters, with what to do."""
        paused = sorted({each.topic for each in self.partitions if each.paused})
        if paused:
            return (
                f"the breaker has paused the stream of {', '.join(paused)}: too many dead letters; "
                "`run --resume` goes on, and so does a run with a schema that takes them"
            )
        if not self.flooded:
            return None
        return (
            f"a flood of dead letters in {', '.join(self.flooded)}: all are kept, and a sample of "
            "them is described in full"
        )

    def as_json(self) -> dict[str, Any]:
        """For `status --json`."""
        return asdict(self) | {
            "lag": self.lag,
            "last_commit_at": self.last_commit_at,
            "waiting": self.waiting,
            "flood": self.flood,
        }


def status(tables: Tables, ends: Ends | None = None) -> StatusReport:
    """Read both tables at their heads, and Kafka's ends when `ends` is given.

    Called by `stream-processor status`. Reads logs, the ledger and a few columns of the dead
    letters, no rows.
    Raises `ConfigurationError` when there is no table, and `Unavailable`.
    """
    data = open_data(tables)
    dead = open_dead_letters(tables)
    letters = DeadLetters(dead, statuses_of(open_ledger(tables))) if dead else None
    recent = list(islice(delta_log.commits_backwards(data.store, data.version), _COMMITS_READ_MAX))
    commits = [found for commit in recent if (found := _commit(commit))]
    return StatusReport(
        pipeline=tables.pipeline_id,
        data=_table(data),
        dead_letter_table=_table(dead) if dead else None,
        partitions=tuple(_partitions(data.memory, dead.memory if dead else None, ends)),
        commits=tuple(commits[:COMMITS_SHOWN]),
        dead_letters=tuple(_dead_letters(letters)) if letters else (),
        flooded=tuple(sorted(_flooded(recent))),
        foreign_writers=tuple(sorted(merged(seen_in(recent), {}, int(time.time() * 1000)))),
    )


def _partitions(data: Memory, dead: Memory | None, ends: Ends | None) -> Iterator[PartitionStatus]:
    partitions = partitions_of(data)
    current = [each for each in partitions.values() if not superseded(each, data)]
    known = ends(current) if ends else {}
    for key, partition in sorted(partitions.items(), key=lambda item: (item[1].topic, item[0])):
        committed = data.positions[key].next_offset
        held = dead.positions.get(key) if dead else None
        end = known.get(partition)
        yield PartitionStatus(
            topic=partition.topic,
            topic_id=partition.topic_id,
            partition=partition.partition,
            committed=committed,
            end=end,
            lag=None if end is None else max(end - committed, 0),
            waiting=held is not None and held.next_offset > committed,
            superseded=superseded(partition, data),
            paused=data.positions[key].paused != 0,
        )


def _flooded(recent: Iterable[Commit]) -> list[str]:
    """Topics in flood, as the newest batch that moved them says."""
    said: dict[str, bool] = {}
    for commit in recent:  # the newest first
        for part in note_of(commit).get("partitions", {}).values():
            said.setdefault(str(part.get("topic", "")), bool(part.get("flooded")))
    return [topic for topic, flooded in said.items() if flooded]


def _commit(commit: Commit) -> CommitStatus | None:
    """A batch of ours; claims and other upkeep are not shown."""
    note = note_of(commit)
    if note.get("kind") != "batch":
        return None
    parts = note.get("partitions", {}).values()
    metrics = commit.info.get("operationMetrics", {})
    took_ms = metrics.get("execution_time_ms")
    moment = datetime.fromtimestamp(commit.written_ms / 1000, UTC)
    return CommitStatus(
        version=commit.version,
        at=moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        operation=commit.operation,
        engine=str(commit.info.get("engineInfo", "")),
        rows=sum(part.get("rows", 0) for part in parts),
        dead_letters=sum(part.get("dead", 0) for part in parts),
        seconds=None if took_ms is None else int(took_ms) / 1000,
    )


def _table(snapshot: Snapshot) -> TableStatus:
    oldest = oldest_version(snapshot.store, snapshot.version)
    files = files_of(snapshot.uri, snapshot.table)
    return TableStatus(
        uri=snapshot.uri,
        version=snapshot.version,
        owner=owner(snapshot.table),
        files=files.count,
        size_bytes=files.size_bytes,
        rows=files.rows,
        small_files=files.small,
        log_versions=snapshot.version - oldest + 1,
    )


def _dead_letters(letters: DeadLetters) -> list[DeadLetterCount]:
    """The causes with the most open ones first."""
    counts: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    names = ["stage", "code", "status"]
    for batch in letters.read_coded(Selector(), names[:2]):
        texts = pa.table({name: batch[name].cast(pa.string()) for name in names})
        for row in texts.group_by(names).aggregate([([], "count_all")]).to_pylist():
            counts[row["stage"], row["code"]][row["status"]] += row["count_all"]
    found = [
        DeadLetterCount(stage, code, each.total(), each["open"], each["replayed"], each["ignored"])
        for (stage, code), each in counts.items()
    ]
    return sorted(found, key=lambda each: (-each.open, -each.count, each.stage, each.code))
