"""The seams between the rooms: every `Protocol`, on one screen, and a person's decisions.

The values that cross them are in `schema.positions`, and can be imported from here. An offset is
always the *next* offset to read. The letters in brackets are the steps of the commit protocol
(docs/explanation/commit-protocol.md).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from stream_processor.schema.positions import (
    Advance,
    Batch,
    Memory,
    Offsets,
    Partition,
    Position,
    Standing,
    StartAt,
)
from stream_processor.schema.table_rules import Broken

__all__ = [
    "Advance",
    "Batch",
    "Clock",
    "DeadLetterSink",
    "Decisions",
    "KillPoint",
    "Memory",
    "ObjectStore",
    "Observer",
    "Offsets",
    "Partition",
    "Position",
    "Sink",
    "Source",
    "Standing",
    "StartAt",
    "never",
    "nothing",
]


@dataclass(frozen=True, slots=True)
class Decisions:
    """What a person decided for this run when the world is not what the table remembers."""

    accept_gap: bool = False
    accept_rewind: bool = False
    accept_recreated: frozenset[str] = frozenset()
    reset: bool = False
    adopt: bool = False
    resume: bool = False


def nothing() -> None:
    """What a source calls when nobody wants to be called: between fetches, or on revoke."""


class Source(Protocol):
    """Where events enter. Used by one thread only: the engine's."""

    def poll(self, between: Callable[[], None] = nothing) -> Batch:
        """Block until a batch is full or old enough, and return it; it may be empty.

        `between` is called on this thread a few times a second; what it raises ends the poll.
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

    def topics(self) -> Collection[str]:
        """The topics that the source reads now: those listed, and those that a pattern finds."""

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
        """Partitions that wait because they cannot be read on, each with the reason.

        They are tried again by themselves; a larger limit may help."""

    def has_met(self) -> bool:
        """Whether the group has told us what is ours, be it nothing."""

    def aim(self, ends: Mapping[Partition, int]) -> None:
        """Of a bounded run: the poll that gets all of these this far returns at once.

        Valid until the next `start`. A partition that is stuck is not waited for.
        """

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

    def broken(self, rows: pa.RecordBatch) -> Mapping[int, Broken]:
        """Which of the rows the table's own rules would refuse, by their place; usually none.

        Valid between a claim and the next `remembered`; may run while a `write` does.
        """

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
