"""Where things stand: the values about partitions and offsets that cross the rooms. Pure.

An offset is always the *next* offset to read, Kafka's own convention. The letters in brackets are
the steps of the commit protocol (docs/explanation/commit-protocol.md).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import pyarrow as pa


def bare_id(topic_id: str) -> str:
    """Kafka's own topic id, without the `~n` of an accepted truncation."""
    return topic_id.partition("~")[0]


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """One Kafka partition of one topic *incarnation*; with an offset it identifies an event.

    `topic_id` is Kafka's own text form of the topic's id, `None` only with `topic_identity: name`.
    After an accepted truncation it carries a suffix `~1`, `~2`, ...: as if created again.
    """

    topic: str
    topic_id: str | None
    partition: int

    @property
    def key(self) -> tuple[str, int]:
        """What the tables know it by: (topic id, or name where there is none; partition)."""
        return (self.topic_id or self.topic, self.partition)

    @property
    def bare(self) -> Partition:
        """The same under Kafka's own topic id, which is all that a source knows."""
        return self.after_rewinds(0)

    @property
    def rewinds(self) -> int:
        """How many truncations were accepted before this incarnation: the number behind `~`."""
        _, _, number = (self.topic_id or "").partition("~")
        return int(number or 0)

    def after_rewinds(self, number: int) -> Partition:
        """The incarnation that follows so many accepted truncations; without an id there is one."""
        if self.topic_id is None:
            return self
        own = bare_id(self.topic_id)
        return replace(self, topic_id=f"{own}~{number}" if number else own)

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]"


@dataclass(frozen=True, slots=True)
class Position:
    """What a table remembers about one partition: the txn entries of the commit protocol, a.1.

    `paused` is not 0 while the breaker keeps the stream from going on here: then it is the number
    of the rules by which it did (decision 0009).
    """

    next_offset: int
    epoch: int = 0
    start: int = 0
    holes: int = 0
    skipped: int = 0
    expired: int = 0
    paused: int = 0


@dataclass(frozen=True, slots=True)
class Advance:
    """How one batch moves one partition from `since` to `upto` (exclusive), fully accounted for.

    rows + dead + held_back + sum(skipped) + holes = upto - since (the law of conservation).
    `flooded`: the breaker of the topic is open behind it; `paused`: see `Position.paused`.
    """

    since: int
    upto: int
    rows: int = 0
    dead: int = 0
    held_back: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    hole_ranges: tuple[tuple[int, int], ...] = ()
    gaps: tuple[tuple[int, int], ...] = ()
    flooded: bool = False
    paused: int = 0

    @property
    def holes(self) -> int:
        """Offsets that Kafka never delivered, plus gaps that a person accepted."""
        return sum(end - begin for begin, end in (*self.hole_ranges, *self.gaps))


@dataclass(frozen=True, slots=True)
class Memory:
    """All that a table remembers of one pipeline [A1].

    `positions` by `Partition.key`; `topics[name]` are the bare topic ids that this name has had,
    oldest first, so that a topic that was created again is noticed. `rewound` says that the table
    was restored to an older version and that these are its positions of then.
    """

    positions: Mapping[tuple[str, int], Position]
    topics: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rewound: bool = False


Offsets = Mapping[Partition, Advance]
"""How far each partition gets with one batch."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One poll: raw events in the shape `schema.records.RAW`, and how far they speak.

    `since[p] <= offset < upto[p]` for every event of p. Partitions without events may still
    advance (transaction markers, held-back offsets). `held_back[p]` are the offsets of
    [since, upto) that are already in the dead letter table [K, B2]; they are not in `records`.
    `gaps[p]` are ranges whose loss a person accepted (`--accept-gap`).
    """

    records: pa.RecordBatch
    since: Mapping[Partition, int]
    upto: Mapping[Partition, int]
    held_back: Mapping[Partition, Collection[int]] = field(default_factory=dict)
    gaps: Mapping[Partition, tuple[tuple[int, int], ...]] = field(default_factory=dict)

    @property
    def moves(self) -> bool:
        """Whether it brings anything that must become durable: events, or a farther offset."""
        return self.records.num_rows > 0 or dict(self.upto) != dict(self.since)


@dataclass(frozen=True, slots=True)
class StartAt:
    """Where the source starts one claimed partition [A5], and what it holds back [A4]."""

    next_offset: int
    held_back: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one owned partition stands, for lag: what the table holds and what Kafka has.

    `high` is where a read_committed reader ends; `log_end`, if known, is the high watermark, above
    `high` while a producer's transaction is open. Times are Kafka timestamps in milliseconds: of
    the newest record in the table, and of the oldest one that was read but is not yet there.
    """

    next_offset: int
    high: int
    log_end: int | None = None
    committed_ms: int | None = None
    waiting_ms: int | None = None

    @property
    def lag(self) -> int:
        """Offsets that the table does not hold yet."""
        return max(0, self.high - self.next_offset)
