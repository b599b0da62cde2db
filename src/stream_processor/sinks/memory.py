"""Tables in memory, for tests and small tools: the same contract as the Delta sinks.

`MemoryTable` is what survives a crash; a `MemorySink` is one writer's handle on it, with the same
compare-and-swap per partition as the Delta log gives (commit protocol, a.2).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import pyarrow as pa

from stream_processor.errors import Fenced, InternalError
from stream_processor.ports import KillPoint, Memory, Offsets, Partition, Position, never
from stream_processor.schema.positions import bare_id
from stream_processor.schema.table_rules import Broken
from stream_processor.sinks.positions import moved


@dataclass(frozen=True, slots=True)
class MemoryCommit:
    """One version of a table: rows and the positions that it named."""

    rows: pa.RecordBatch | None
    positions: Mapping[Partition, Position]


@dataclass(slots=True)
class MemoryTable:
    """The durable half: a list of commits, shared by all writers."""

    commits: list[MemoryCommit] = field(default_factory=list)

    def rows(self) -> list[dict[str, object]]:
        """All rows of all commits, in order."""
        return [row for commit in self.commits if commit.rows for row in commit.rows.to_pylist()]

    def positions(self, version: int | None = None) -> dict[Partition, Position]:
        """The newest position of every partition in the first `version` commits."""
        known: dict[Partition, Position] = {}
        for commit in self.commits[:version]:
            known.update(commit.positions)
        return known


class MemorySink:
    """One writer on a `MemoryTable`. Implements `ports.Sink`."""

    def __init__(
        self, table: MemoryTable, *, name: str = "data", kill_point: KillPoint = never
    ) -> None:
        self.table = table
        self._name = name
        self._kill_point = kill_point
        self._base = 0
        self._owned: dict[Partition, Position] = {}

    def remembered(self) -> Memory:
        """See `ports.Sink.remembered`."""
        self._base = len(self.table.commits)
        self._owned = {}
        positions = self.table.positions(self._base)
        topics: dict[str, tuple[str, ...]] = {}
        for partition in positions:
            if partition.topic_id is not None:
                known = topics.get(partition.topic, ())
                topic_id = bare_id(partition.topic_id)
                topics[partition.topic] = known if topic_id in known else (*known, topic_id)
        return Memory({p.key: position for p, position in positions.items()}, topics)

    def claim(
        self, owned: Collection[Partition], anchors: Mapping[Partition, Position]
    ) -> Mapping[Partition, Position]:
        """See `ports.Sink.claim`."""
        known = self.table.positions(self._base)
        claimed = {}
        for partition in owned:
            position = anchors.get(partition) or known[partition]
            epoch = known.get(partition, position).epoch + 1
            claimed[partition] = replace(position, epoch=epoch)
        self._kill_point(f"{self._name}.before_claim")
        self._commit(MemoryCommit(None, {**anchors, **claimed}))
        self._owned = claimed
        self._kill_point(f"{self._name}.after_claim")
        return claimed

    def broken(self, rows: pa.RecordBatch) -> Mapping[int, Broken]:
        """None: a table in memory has no rules of its own."""
        del rows
        return {}

    def recheck(self) -> None:
        """See `ports.Sink.recheck`."""
        head = self.table.positions()
        if any(head[p].epoch != position.epoch for p, position in self._owned.items()):
            raise Fenced("another writer claimed the same partitions")
        self._kill_point(f"{self._name}.rechecked")

    def write(self, rows: pa.RecordBatch, upto: Offsets) -> None:
        """See `ports.Sink.write`."""
        if not upto.keys() <= self._owned.keys():
            raise InternalError("a batch reached the table for a partition that it lost")
        self._append(rows, {p: moved(p, self._owned[p], upto[p]) for p in upto})

    def close(self) -> None:
        """See `ports.Sink.close`."""
        self._owned = {}

    def _append(self, rows: pa.RecordBatch, positions: Mapping[Partition, Position]) -> None:
        after = {**self._owned, **positions}
        self._kill_point(f"{self._name}.before_commit")
        self._commit(MemoryCommit(rows, after))
        self._owned = after
        self._kill_point(f"{self._name}.after_commit")

    def _commit(self, commit: MemoryCommit) -> None:
        winners = self.table.commits[self._base :]
        if any(winner.positions.keys() & commit.positions.keys() for winner in winners):
            raise Fenced("another writer was faster")
        self.table.commits.append(commit)
        self._base = len(self.table.commits)


class MemoryDeadLetters(MemorySink):
    """One writer of dead letters on a `MemoryTable`. Implements `ports.DeadLetterSink`."""

    def __init__(
        self, table: MemoryTable, *, name: str = "dead_letters", kill_point: KillPoint = never
    ) -> None:
        super().__init__(table, name=name, kill_point=kill_point)

    def write(self, rows: pa.RecordBatch, upto: Offsets) -> None:
        """See `ports.DeadLetterSink`: no dead letter, no commit."""
        if rows.num_rows:
            positions = {
                p: replace(known, next_offset=max(known.next_offset, upto[p].upto))
                for p, known in self._owned.items()
                if p in upto
            }
            self._append(rows, positions)

    def held_offsets(self, since: Mapping[Partition, int]) -> Mapping[Partition, frozenset[int]]:
        """See `ports.DeadLetterSink.held_offsets`."""
        rows = [
            row
            for commit in self.table.commits[: self._base]
            if commit.rows
            for row in commit.rows.select(["topic", "topic_id", "partition", "offset"]).to_pylist()
        ]
        return {
            p: frozenset(
                row["offset"]
                for row in rows
                if (row["topic_id"] or row["topic"], row["partition"]) == p.key
                and row["offset"] >= offset
            )
            for p, offset in since.items()
        }
