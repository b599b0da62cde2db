"""The batch being filled: takes what the client delivers, in its order, and judges every piece."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import groupby

from confluent_kafka import Message

from stream_processor.ports import Batch, Clock, Observer, Partition, StartAt
from stream_processor.sources.kafka_errors import (
    Meaning,
    as_ours,
    detail,
    is_too_large,
    meaning,
)
from stream_processor.sources.kafka_messages import (
    columns,
    failure,
    is_record,
    offset_of,
    place,
    split,
)
from stream_processor.sources.kafka_topics import Place
from stream_processor.sources.limits import BatchLimits
from stream_processor.sources.positions import UNKNOWN, Positions
from stream_processor.sources.raw_columns import Fetch, RawColumns

FETCH_ROWS_MAX = 1000
"""Records per call of the client: larger calls cost more per record, not less."""

_FAILURES_MAX = 3  # tries to fetch one batch before its partition stays silent


@dataclass(frozen=True, slots=True)
class StuckPartition:
    """A partition that stays silent: what comes next cannot be fetched or unpacked."""

    partition: Partition
    offset: int
    reason: str


class OpenBatch:
    """Lives from one start to the next, over many batches. Used by the Kafka source.

    `misread` collects partitions that must be fetched again from their own next offset, and
    `lost` those whose offset Kafka does not hold: the source acts on both after each fetch.
    """

    def __init__(
        self,
        starts: Mapping[Partition, StartAt],
        limits: BatchLimits,
        observer: Observer,
        clock: Clock,
    ) -> None:
        self.positions = Positions(starts)
        self.stuck: dict[int, StuckPartition] = {}
        self.misread: set[int] = set()
        self.lost: set[int] = set()
        self.began_at: float | None = None
        self._columns = RawColumns()
        self._limits = limits
        self._observer = observer
        self._clock = clock
        self._mean_bytes = 1.0
        self._failures: dict[int, tuple[int, int]] = {}
        self._aims: dict[int, int] = {}

    @property
    def rows(self) -> int:
        """Records taken so far."""
        return self._columns.rows

    @property
    def is_full(self) -> bool:
        """Whether a limit of rows or bytes is met."""
        limits = self._limits
        return self._columns.rows >= limits.rows_max or self._columns.nbytes >= limits.bytes_max

    def aim(self, ends: Mapping[Partition, int]) -> None:
        """Where a bounded run wants these partitions to get."""
        slots = {part: slot for slot, part in enumerate(self.positions.parts)}
        self._aims = {slots[part]: end for part, end in ends.items() if part in slots}

    def hits_aim(self) -> bool:
        """True once, when all is there that was aimed at, or is not to be had."""
        if not self._aims or any(
            self.positions.next_offset(slot) < end and slot not in self.stuck
            for slot, end in self._aims.items()
        ):
            return False
        self._aims = {}
        return True

    @property
    def room(self) -> int:
        """How many records the next fetch may bring, going by the size of the last ones."""
        rows_left = self._limits.rows_max - self._columns.rows
        bytes_left = max(0, self._limits.bytes_max - self._columns.nbytes)
        return max(1, min(FETCH_ROWS_MAX, rows_left, 1 + int(bytes_left / self._mean_bytes)))

    def take(self, messages: list[Message]) -> None:
        """Judge one fetch. Raises what an error event means, when it is more than a passing one."""
        records, events = split(messages)
        if all(_is_end(event) for event in events):
            self._add(records)
            for event in events:
                self._end(event)
        else:
            self._take_in_order(messages)
        if self.began_at is None and self.positions.advanced:
            self.began_at = self._clock.monotonic()

    def _take_in_order(self, messages: list[Message]) -> None:
        """The client goes on behind a batch that it could not read, and its records may follow the
        error in the same fetch (librdkafka reports a wrong checksum and continues): accepting them
        would make a hole of what was skipped. So nothing of that partition is taken after it."""
        for are_records, group in groupby(messages, is_record):
            if are_records:
                self._add([m for m in group if self._slot(m) not in self.misread | self.lost])
                continue
            for event in group:
                self._judge(event)

    def _judge(self, event: Message) -> None:
        error, slot = failure(event), self._slot(event)
        sense = meaning(error)
        if sense is Meaning.END_OF_PARTITION:
            self._end(event)
        elif sense in {Meaning.REJECTED, Meaning.NO_TOPIC, Meaning.DUPLICATE_MEMBER}:
            raise as_ours(error, "deliver events")
        elif slot != UNKNOWN and sense is Meaning.OUT_OF_RANGE:
            self.lost.add(slot)
        elif slot != UNKNOWN and sense is Meaning.UNREADABLE:
            self._fail_at(slot, event)
        else:
            self._observer.event("kafka_error", text=detail(error))

    def _fail_at(self, slot: int, event: Message) -> None:
        """Count one failed fetch. A record that the client names as too large, which it does after
        it has doubled its own limit in vain, becomes one without bytes: it costs one dead letter.

        A wrong checksum or a batch that cannot be unpacked is no such record: the offset is that
        of a whole batch, and another replica, or a larger budget, may still give its events.
        """
        error, offset = failure(event), self.positions.next_offset(slot)
        if not self._note_failure(slot, detail(error)):
            return
        if is_too_large(error) and offset_of(event) == offset:
            self._take_unseen(slot, offset)
        else:
            self.give_up(slot, detail(error))

    def _take_unseen(self, slot: int, offset: int) -> None:
        fetch = Fetch.unseen(slot, offset)
        accepted = self.positions.accept(fetch.slots, fetch.offsets)
        self._columns.add(fetch if accepted is None else fetch.only(accepted))

    def fail(self, slot: int, reason: str) -> None:
        """Count one failed fetch; after the third at one offset the partition is stuck."""
        if self._note_failure(slot, reason):
            self.give_up(slot, reason)

    def give_up(self, slot: int, reason: str) -> None:
        """What comes next in this partition cannot be read: fetch nothing more of it."""
        self.misread.add(slot)
        offset = self.positions.next_offset(slot)
        self.stuck[slot] = StuckPartition(self.positions.parts[slot], offset, reason)

    def revive(self, stuck: StuckPartition) -> None:
        """It can be read again: fetch it from where it stands."""
        slot = self.positions.slot(stuck.partition.topic, stuck.partition.partition)
        del self.stuck[slot]
        self.misread.add(slot)
        self._observer.event("kafka_partition_revived", partition=str(stuck.partition))

    def _note_failure(self, slot: int, reason: str) -> bool:
        """Whether that was the last try at this offset."""
        self.misread.add(slot)
        offset = self.positions.next_offset(slot)
        at, times = self._failures.get(slot, (offset, 0))
        times = times + 1 if at == offset else 1
        self._failures[slot] = (offset, times)
        part = self.positions.parts[slot]
        self._observer.event(
            "kafka_fetch_failed", partition=str(part), offset=offset, reason=reason, times=times
        )
        return times >= _FAILURES_MAX

    def _end(self, event: Message) -> None:
        slot = self._slot(event)
        if slot != UNKNOWN and slot not in self.misread:
            self.positions.reach(slot, offset_of(event))

    def _slot(self, message: Message) -> int:
        return self.positions.slot(*place(message))

    def _add(self, records: list[Message]) -> None:
        if not records:
            return
        left_out = self.positions.left_out
        fetch, unreadable = columns(records, self.positions)
        left_out = self.positions.left_out - left_out
        self._columns.add(fetch)
        self._mean_bytes = max(1.0, fetch.nbytes / len(records))
        if left_out:
            self._observer.event("kafka_records_left_out", count=left_out)
        if unreadable:
            self._observer.event("kafka_headers_unreadable", count=unreadable)

    def close(self) -> Batch:
        """What was collected; the next batch begins where this one ends."""
        reach = self.positions.close_batch()
        self.began_at = None
        return Batch(
            records=self._columns.take(self.positions.parts),
            since=reach.since,
            upto=reach.upto,
            held_back=reach.held_back,
            gaps=reach.gaps,
        )

    def next_offsets(self, slots: Collection[int]) -> dict[Place, int]:
        """Where to fetch these from, as the client names partitions."""
        parts = self.positions.parts
        return {
            (parts[slot].topic, parts[slot].partition): self.positions.next_offset(slot)
            for slot in slots
        }

    @property
    def live(self) -> set[int]:
        """Every started partition that is not stuck."""
        return set(range(len(self.positions.parts))) - self.stuck.keys()


def _is_end(event: Message) -> bool:
    return meaning(failure(event)) is Meaning.END_OF_PARTITION
