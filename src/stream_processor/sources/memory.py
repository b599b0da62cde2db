"""A source without Kafka: a script of events that may crash, rebalance and end in the middle.

Shipped with the package: it obeys the contract of `ports.Source` (the same tests run on both), so
a person can try an engine or a sink of their own without a broker.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from stream_processor.errors import OffsetGap, Rebalanced
from stream_processor.ports import Batch, Offsets, Partition, StartAt, nothing
from stream_processor.sources.limits import BatchLimits
from stream_processor.sources.positions import Positions
from stream_processor.sources.raw_columns import Fetch, Headers, RawColumns


class Mark(Enum):
    """What a script may hold between its events. Each acts once per log, not once per reading."""

    CRASH = "crash"
    REBALANCE = "rebalance"
    END = "end"


CRASH = Mark.CRASH
"""The poll that reaches it raises `Crash`; make a new `MemorySource` on the same log to go on."""
REBALANCE = Mark.REBALANCE
"""The poll that reaches it raises `Rebalanced`, with what it had read forgotten."""
END = Mark.END
"""The batch ends here, though it is not full."""


class Crash(BaseException):
    """The process died here. No `Exception`, so that nothing catches it by accident."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event. Offsets of a partition must increase; an offset that is left out is a hole."""

    partition: Partition
    offset: int
    value: bytes | None
    key: bytes | None = None
    timestamp_ms: int | None = None
    headers: Headers | None = None


@dataclass(frozen=True, slots=True)
class Ends:
    """The partition's log ends at `offset`, above its last event: markers that nobody sees."""

    partition: Partition
    offset: int


Step = Event | Ends | Mark


@dataclass(slots=True)
class MemoryLog:
    """What would be Kafka: it survives the crash of a source. `script` may grow while it is read.

    `low` are first offsets that are still held (retention); `committed` are the group's offsets.
    """

    script: list[Step]
    low: dict[Partition, int] = field(default_factory=dict)
    committed: dict[Partition, int] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, steps: Iterable[Step]) -> MemoryLog:
        """From a script; the marks in it act once each."""
        return cls(list(steps))

    @property
    def partitions(self) -> frozenset[Partition]:
        """Every partition that the script speaks of, or that was given a low watermark."""
        spoken = {step.partition for step in self.script if not isinstance(step, Mark)}
        return frozenset(spoken | self.low.keys())

    def watermarks(self, part: Partition) -> tuple[int, int]:
        """(low, high) of one partition, over the whole script, as if all was produced already."""
        ends = [
            step.offset + isinstance(step, Event)
            for step in self.script
            if not isinstance(step, Mark) and step.partition == part
        ]
        low = self.low.get(part, 0)
        return low, max([low, *ends])


_LIMITS = BatchLimits(rows_max=1000, bytes_max=2**20, age_seconds=1.0)


class MemorySource:
    """`ports.Source` over a `MemoryLog`. Needs no clock: a poll reads on until a batch is full, a
    mark stands in the way, or the script is at its end; it never waits."""

    def __init__(
        self,
        log: MemoryLog,
        limits: BatchLimits = _LIMITS,
        on_revoke: Callable[[], None] = nothing,
    ) -> None:
        self._log = log
        self._limits = limits
        self._on_revoke = on_revoke
        self._changed = True
        self.closed = False
        self._at = 0
        self._begin({})

    def poll(self, between: Callable[[], None] = nothing) -> Batch:
        """See `ports.Source`."""
        self._raise_changes()
        between()
        while self._at < len(self._log.script) and not self._is_full():
            index, self._at = self._at, self._at + 1
            step = self._log.script[index]
            if not isinstance(step, Mark):
                self._read(step)
            elif index not in self._log.done:
                self._log.done.add(index)
                if step is END:
                    break
                self._act(step)
        reach = self._positions.close_batch()
        return Batch(
            records=self._columns.take(self._positions.parts),
            since=reach.since,
            upto=reach.upto,
            held_back=reach.held_back,
            gaps=reach.gaps,
        )

    def start(self, starts: Mapping[Partition, StartAt]) -> None:
        """See `ports.Source`. Raises `OffsetGap` below the log's low watermark."""
        for part, start in starts.items():
            low, _high = self._log.watermarks(part.bare)
            if start.next_offset < low:
                raise OffsetGap(
                    f"{part} is to be read from offset {start.next_offset}, the log begins at {low}"
                )
        self._begin(starts)

    def assignment(self) -> frozenset[Partition]:
        """See `ports.Source`: always every partition of the log."""
        self._changed = False
        return self._log.partitions

    def topics(self) -> Collection[str]:
        """See `ports.Source`: every topic of the log."""
        return {part.topic for part in self._log.partitions}

    def anchors(self, topics: Collection[str]) -> Mapping[Partition, int]:
        """See `ports.Source`; the start policy is earliest."""
        return {
            part: self._log.watermarks(part)[0]
            for part in self._log.partitions
            if part.topic in topics
        }

    def watermarks(self, parts: Collection[Partition]) -> Mapping[Partition, tuple[int, int]]:
        """See `ports.Source`."""
        return {part: self._log.watermarks(part.bare) for part in parts}

    def group_offsets(self, parts: Collection[Partition]) -> Mapping[Partition, int]:
        """See `ports.Source`."""
        committed = self._log.committed
        return {part: committed[part.bare] for part in parts if part.bare in committed}

    def commit(self, upto: Offsets) -> None:
        """See `ports.Source`."""
        self._log.committed.update({part.bare: advance.upto for part, advance in upto.items()})

    def keep_alive(self) -> None:
        """See `ports.Source`."""
        self._raise_changes()

    def ends(self) -> Mapping[Partition, tuple[int, int]]:
        """See `ports.Source`."""
        return {
            part: (self._positions.next_offset(slot), self._log.watermarks(part.bare)[1])
            for slot, part in enumerate(self._positions.parts)
        }

    def stuck(self) -> Mapping[Partition, str]:
        """See `ports.Source`: never any."""
        return {}

    def has_met(self) -> bool:
        """See `ports.Source`."""
        return True

    def aim(self, ends: Mapping[Partition, int]) -> None:
        """See `ports.Source`. A poll of this source never waits, so there is nothing to do."""

    def interrupt(self) -> None:
        """See `ports.Source`. A poll of this source never waits, so there is nothing to do."""

    def check(self) -> None:
        """See `ports.Source`: a log in memory is always there."""

    def close(self) -> None:
        """See `ports.Source`."""
        if not self.closed:
            self.closed = True
            self._on_revoke()

    def _begin(self, starts: Mapping[Partition, StartAt]) -> None:
        self._positions = Positions(starts)
        self._columns = RawColumns()
        self._at = 0

    def _is_full(self) -> bool:
        limits = self._limits
        return self._columns.rows >= limits.rows_max or self._columns.nbytes >= limits.bytes_max

    def _raise_changes(self) -> None:
        if self._changed:
            raise Rebalanced("the partitions were distributed anew")

    def _act(self, mark: Mark) -> None:
        if mark is CRASH:
            raise Crash
        self._on_revoke()
        self._changed = True
        self._begin({})
        self._raise_changes()

    def _read(self, step: Event | Ends) -> None:
        slot = self._positions.slot(step.partition.topic, step.partition.partition)
        if slot < 0:
            return
        if isinstance(step, Ends):
            self._positions.reach(slot, step.offset)
            return
        time = step.timestamp_ms
        fetch = Fetch.of(
            np.array([slot], dtype=np.int32),
            np.array([step.offset], dtype=np.int64),
            (np.array([time is not None], dtype=np.int8), np.array([time or 0], dtype=np.int64)),
            ([step.key], [step.value], [step.headers]),
        )
        accepted = self._positions.accept(fetch.slots, fetch.offsets)
        self._columns.add(fetch if accepted is None else fetch.only(accepted))
