"""The seams between the rooms: every `Protocol` and the values that cross them, on one screen.

An offset is always the *next* offset to read, Kafka's own convention. The letters in brackets are
the steps of the commit protocol (docs/explanation/commit-protocol.md).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa


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

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]"


@dataclass(frozen=True, slots=True)
class Position:
    """What a table remembers about one partition: the txn entries of the commit protocol, a.1."""

    next_offset: int
    epoch: int = 0
    start: int = 0
    holes: int = 0
    skipped: int = 0
    expired: int = 0


@dataclass(frozen=True, slots=True)
class Advance:
    """How one batch moves one partition from `since` to `upto` (exclusive), fully accounted for.

    rows + dead + held_back + sum(skipped) + holes = upto - since (the law of conservation).
    """

    since: int
    upto: int
    rows: int = 0
    dead: int = 0
    held_back: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    hole_ranges: tuple[tuple[int, int], ...] = ()
    gaps: tuple[tuple[int, int], ...] = ()

    @property
    def holes(self) -> int:
        """Offsets that Kafka never delivered, plus gaps that a person accepted."""
        return sum(end - begin for begin, end in (*self.hole_ranges, *self.gaps))


@dataclass(frozen=True, slots=True)
class Memory:
    """All that a table remembers of one pipeline [A1].

    `positions` by `Partition.key`; `topics[name]` are the bare topic ids that this name has had,
    oldest first, so that a topic that was created again is noticed.
    """

    positions: Mapping[tuple[str, int], Position]
    topics: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


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


@dataclass(frozen=True, slots=True)
class StartAt:
    """Where the source starts one claimed partition [A5], and what it holds back [A4]."""

    next_offset: int
    held_back: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Decisions:
    """What a person decided for this run when the world is not what the table remembers."""

    accept_gap: bool = False
    accept_rewind: bool = False
    accept_recreated: frozenset[str] = frozenset()
    reset: bool = False
    adopt: bool = False


class Source(Protocol):
    """Where events enter. Used by one thread only: the engine's."""

    def poll(self) -> Batch:
        """Block until a batch is full or old enough, and return it; it may be empty.

        Raises `Rebalanced` when the assignment changed since `start` (the engine then forgets
        everything in memory, reads `assignment` and claims anew), `Unavailable` when the broker
        is away, and a `DecisionNeeded` when Kafka no longer holds what the tables ask for.
        """

    def commit(self, upto: Offsets) -> None:
        """Tell Kafka's group how far the tables are [B5]: a hint for lag tools. Never raises.

        The one method that `settle` may call from the thread that commits.
        """

    def assignment(self) -> frozenset[Partition]:
        """The partitions that are ours now, each with its bare topic id (no `~` suffix)."""

    def anchors(self, topics: Collection[str]) -> Mapping[Partition, int]:
        """The start policy (earliest, latest, a timestamp) resolved to an offset for *every*
        partition that the broker knows of these topics, ours or not."""

    def watermarks(self, parts: Collection[Partition]) -> Mapping[Partition, tuple[int, int]]:
        """(low, high) as the broker says now; high is where a read_committed reader ends."""

    def group_offsets(self, parts: Collection[Partition]) -> Mapping[Partition, int]:
        """What the consumer group has committed in Kafka; partitions without are left out."""

    def ends(self) -> Mapping[Partition, tuple[int, int]]:
        """(next offset to read, end of the log as last heard) of the started partitions, for lag.

        Asks nobody; partitions of which nothing was heard yet are left out."""

    def stuck(self) -> Mapping[Partition, str]:
        """Partitions that stay silent until a person raises a limit, each with the reason."""

    def interrupt(self) -> None:
        """Make the poll that runs, or else the next one, return what it has; from any thread."""

    def start(self, starts: Mapping[Partition, StartAt]) -> None:
        """Begin exactly there [A5]. Keys may carry a `~` suffix, which the rows then carry too.

        Replaces every earlier start: partitions that are not named stay paused and silent.
        """

    def keep_alive(self) -> None:
        """Serve the group but take no records, while a commit is in flight; may raise as poll."""

    def check(self) -> None:
        """One round trip at the start: raises why it cannot work, with what to do."""

    def close(self) -> None:
        """Leave the group. Idempotent."""


class Sink(Protocol):
    """A table that takes each partition's offsets exactly once. Used by one thread at a time.

    The life of an ownership: `remembered`, `claim`, `recheck`, then any number of `write`; after
    any exception, or a change of assignment, again from `remembered`.
    """

    def remembered(self) -> Memory:
        """Load the head and read all that it knows of this pipeline; the base of the next claim.

        Raises `TableRefused` for a table we must not write, `TableRewound` when it was restored.
        """

    def claim(
        self, owned: Collection[Partition], anchors: Mapping[Partition, Position]
    ) -> Mapping[Partition, Position]:
        """Fence exactly these partitions on the snapshot of `remembered` [A1, A2].

        `anchors` are positions to write down in the same commit: of partitions that the table
        does not know yet (also of those that other processes will own), or that a person's
        decision moves. Returns the positions of `owned`, with their new epochs.
        Raises `Fenced` when another writer was faster.
        """

    def recheck(self) -> None:
        """Load the head and compare every owned epoch [A3]. Raises `Fenced` if another is newer."""

    def write(self, rows: pa.RecordBatch, upto: Offsets) -> None:
        """Make the rows and the offsets durable in one commit, or raise [B3, B4].

        The commit names every owned partition [B0]. After *any* exception the outcome is unknown:
        the caller forgets the batch and claims again; the table decides.
        """

    def close(self) -> None:
        """Release handles. Idempotent; not guaranteed to be called."""


class DeadLetterSink(Sink, Protocol):
    """The sink of dead letters: evidence first. A batch without dead letters commits nothing."""

    def held_offsets(self, since: Mapping[Partition, int]) -> Mapping[Partition, frozenset[int]]:
        """The offsets >= since[p] that the table holds at the base of the claim [A4, K]."""


class ObjectStore(Protocol):
    """The little that is read from a store beside the Delta library. Paths are relative keys."""

    def list(self, prefix: str, start_after: str = "") -> Iterator[str]:
        """Keys below the prefix in lexical order, after `start_after`."""

    def get(self, key: str) -> bytes:
        """The whole object. Raises `StoreUnavailable`, or `FileNotFoundError` when it is absent."""

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Create the object; False when it exists already."""

    def delete(self, key: str) -> None:
        """Remove the object; silent when it is absent."""


class Clock(Protocol):
    """Time as a value, so that tests own it."""

    def now(self) -> float:
        """Seconds since the epoch, UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back, for deadlines."""


KillPoint = Callable[[str], None]
"""Called at each named step between effects. Production passes `never`; a test may not return."""


def never(step: str) -> None:
    """The kill point of production: nothing happens at any step."""


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


class Observer(Protocol):
    """What the engine tells the outside: metrics, log lines and the live line hang on this.

    Every method may be called from any thread, never blocks on the network and never raises.
    """

    def state(self, state: str, reason: str = "") -> None:
        """starting | running | paused | draining | failed | stopped, with one sentence why.

        `running` with a reason means: the stream goes on, but not whole (a partition is paused).
        """

    def settled(self, upto: Offsets, dead_by_code: Mapping[tuple[str, str], int]) -> None:
        """One batch is durable. Keys of `dead_by_code` are (stage, code)."""

    def timed(self, stage: str, seconds: float) -> None:
        """How long one stage of one batch took: poll, process, dead_letters, data, claim.

        `end_to_end` is the age of the batch's oldest record when its commit was done.
        """

    def standing(self, where: Mapping[Partition, Standing]) -> None:
        """Where every owned partition stands now; a partition that is not named is not ours."""

    def buffered(self, records: int, size_bytes: int) -> None:
        """How much is in memory and not yet durable."""

    def event(self, name: str, **fields: object) -> None:
        """Anything else worth a log line; never a payload, never a secret."""
