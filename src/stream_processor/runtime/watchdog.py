"""The progress watchdog: there is something to read, and a partition does not move.

A silent stall has no error: the client is connected, polls return nothing, the lag stays. Only time
shows it. Pure: values and the clock's reading go in, a new value comes out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from stream_processor.ports import Partition, Standing

Kind = Literal["no_progress", "open_transaction"]


@dataclass(frozen=True, slots=True)
class Stall:
    """One partition that has not moved for `seconds`.

    `no_progress`: records wait (`lag` of them) and the table does not get them: not ready.
    `open_transaction`: the table has all that may be read, but a producer's transaction stays open
    and hides `lag` offsets behind it. The cure is at the producer, so the process stays ready.
    """

    partition: Partition
    kind: Kind
    seconds: float
    lag: int

    def __str__(self) -> str:
        if self.kind == "open_transaction":
            what = f"an open transaction hides {self.lag:,} offsets"
        else:
            what = f"no progress with {self.lag:,} offsets to go"
        return f"{self.partition}: {what} for {self.seconds:.0f} s"


@dataclass(frozen=True, slots=True)
class _Mark:
    """Since when a partition has been waiting at one offset, and how it stood last."""

    since: float
    where: Standing


@dataclass(frozen=True, slots=True)
class Watchdog:
    """What is known of every partition's progress. Begin with `Watchdog(limit_seconds)`.

    The limit must be well above the commit interval (`snapshot.rest_limit_seconds`), because a
    partition only moves when a batch is durable.
    """

    limit_seconds: float
    _marks: Mapping[Partition, _Mark] = field(default_factory=dict)

    def seen(self, where: Mapping[Partition, Standing], now: float) -> Watchdog:
        """Take in how all owned partitions stand; others are forgotten. `now` is monotonic."""
        marks = {part: self._mark(part, standing, now) for part, standing in where.items()}
        return Watchdog(self.limit_seconds, marks)

    def rested(self) -> Watchdog:
        """Forget everything, for a pause whose reason is known: it is no stall."""
        return Watchdog(self.limit_seconds)

    def stalls(self, now: float) -> tuple[Stall, ...]:
        """The partitions over the limit at `now`, also when nobody has fed the dog since."""
        found = (
            Stall(part, kind, now - mark.since, lag)
            for part, mark in self._marks.items()
            if now - mark.since >= self.limit_seconds
            for kind, lag in _waiting(mark.where)
        )
        return tuple(sorted(found, key=lambda stall: str(stall.partition)))

    def _mark(self, part: Partition, standing: Standing, now: float) -> _Mark:
        mark = self._marks.get(part)
        if mark is None or not _same_wait(mark.where, standing):
            return _Mark(now, standing)
        return _Mark(mark.since, standing)


def _same_wait(before: Standing, after: Standing) -> bool:
    """The table has not moved, and waits for the same kind of thing as before."""
    kinds = [kind for kind, _ in _waiting(before)]
    return before.next_offset == after.next_offset and kinds == [k for k, _ in _waiting(after)]


def _waiting(where: Standing) -> list[tuple[Kind, int]]:
    """What a partition waits for, or nothing when the table holds all there is."""
    if where.lag:
        return [("no_progress", where.lag)]
    if where.log_end is not None and where.log_end > max(where.high, where.next_offset):
        return [("open_transaction", where.log_end - where.high)]
    return []
