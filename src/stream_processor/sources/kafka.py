"""The Kafka source: events of a consumer group as batches, from exactly where the tables stand.

One thread, the engine's, calls everything; librdkafka's own threads fetch meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping

from confluent_kafka import Message

from stream_processor.errors import DecisionNeeded, Rebalanced, StreamProcessorError
from stream_processor.ports import Batch, Clock, Observer, Offsets, Partition, StartAt, nothing
from stream_processor.sources.kafka_batch import FETCH_ROWS_MAX, OpenBatch
from stream_processor.sources.kafka_errors import Meaning, as_ours, meaning
from stream_processor.sources.kafka_group import GroupMember
from stream_processor.sources.kafka_log import ClientLog
from stream_processor.sources.kafka_probe import KafkaProbe
from stream_processor.sources.kafka_settings import KafkaSettings
from stream_processor.sources.kafka_topics import KafkaTopics
from stream_processor.sources.kafka_watch import TopicWatch, out_of_range
from stream_processor.sources.limits import BatchLimits

_WAIT_SECONDS_MAX = 0.1  # the client does not wake up for `interrupt`
_SPARE_ROWS_MAX = FETCH_ROWS_MAX  # what keep_alive may take before it stops fetching
_HOLD_AFTER_SECONDS = 3.0


class KafkaSource:
    """`ports.Source` on a real Kafka. Made by the composition root, used by the engine.

    `on_revoke` runs before partitions are given back, inside poll, keep_alive or close: the engine
    waits there, for a bounded time, for its commit in flight.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        limits: BatchLimits,
        observer: Observer,
        clock: Clock,
        on_revoke: Callable[[], None] = nothing,
    ) -> None:
        self._settings = settings
        self._limits = limits
        self._observer = observer
        self._clock = clock
        self._on_revoke = on_revoke
        self._log = ClientLog(observer, clock)
        self._topics = KafkaTopics(settings, self._log)
        self._interrupted = threading.Event()
        self._watch = TopicWatch(self._topics, settings, self._log, clock, self._interrupted)
        self._probe = KafkaProbe(settings, self._topics, observer, clock)
        self._member = GroupMember(settings, self._log, on_revoke)
        self._seen_generation = 0
        self._closed = False
        self._holding = False
        self._begin({})

    # -- the port ---------------------------------------------------------------------------

    def poll(self, between: Callable[[], None] = nothing) -> Batch:
        """See `ports.Source`. Returns early, with what there is, after `interrupt`.

        After an exception nothing more is delivered before the next `start`.
        """
        self._raise_changes()
        if self._watch.due:
            self._watch.verify()
        self._release()
        idle_until = self._clock.monotonic() + self._limits.age_seconds
        while not self._complete(idle_until):
            left = self._due(idle_until) - self._clock.monotonic()
            self._take(max(0.0, min(_WAIT_SECONDS_MAX, left)))
            self._mend()
            between()
        if self._batch.positions.advanced:
            self._watch.verify()
        self._interrupted.clear()
        return self._batch.close()

    def keep_alive(self) -> None:
        """See `ports.Source`: takes at most two thousand records, which the next poll returns.

        Fetching goes on for three seconds, since stopping it drops what was fetched ahead; then it
        stops until the next poll, so that the group's calls no longer stand in line behind events.
        """
        self._raise_changes()
        now = self._clock.monotonic()
        if self._batch.rows < min(_SPARE_ROWS_MAX, self._limits.rows_max):
            self._spare_full_at = now
            self._take(0)
            return
        if not self._holding and now - self._spare_full_at >= _HOLD_AFTER_SECONDS:
            self._holding = True
            self._member.silence_all()
        if self._holding:
            self._take(0)

    def start(self, starts: Mapping[Partition, StartAt]) -> None:
        """See `ports.Source`. Raises `Rebalanced` when a partition is no longer ours."""
        self._member.silence_all()
        self._begin({})
        for part in starts:
            if (part.topic, part.partition) not in self._member.owned:
                raise Rebalanced(f"{part} was taken away before it was started")
            if not self._watch.is_current(part):
                raise Rebalanced(f"topic {part.topic} was created again before it was started")
        self._begin(starts)
        self._member.fetch(self._batch.next_offsets(self._batch.live))

    def assignment(self) -> frozenset[Partition]:
        """See `ports.Source`; asks the brokers for the ids of now, and clears `Rebalanced`."""
        self._seen_generation = self._member.generation
        owned = self._member.owned
        self._watch.renew({topic for topic, _ in owned})
        return frozenset(
            Partition(topic, self._watch.topic_id(topic), partition) for topic, partition in owned
        )

    def topics(self) -> Collection[str]:
        """See `ports.Source`."""
        return self._topics.subscribed()

    def anchors(self, topics: Collection[str]) -> Mapping[Partition, int]:
        """See `ports.Source`."""
        return self._topics.anchors(topics)

    def watermarks(self, parts: Collection[Partition]) -> Mapping[Partition, tuple[int, int]]:
        """See `ports.Source`. Raises `Rebalanced` for a topic that was created again."""
        return self._topics.watermarks_of(parts)

    def group_offsets(self, parts: Collection[Partition]) -> Mapping[Partition, int]:
        """See `ports.Source`."""
        found = self._member.committed(
            [(p.topic, p.partition) for p in parts], self._settings.request_seconds
        )
        return {p: found[p.topic, p.partition] for p in parts if (p.topic, p.partition) in found}

    def commit(self, upto: Offsets) -> None:
        """See `ports.Source`."""
        self._member.commit(upto)

    def close(self) -> None:
        """See `ports.Source`. The revoke hook runs in here."""
        if not self._closed:
            self._closed = True
            self._member.close()

    def ends(self) -> Mapping[Partition, tuple[int, int]]:
        """See `ports.Source`."""
        positions = self._batch.positions
        highs = self._member.highs((part.topic, part.partition) for part in positions.parts)
        return {
            part: (positions.next_offset(slot), highs[part.topic, part.partition])
            for slot, part in enumerate(positions.parts)
            if (part.topic, part.partition) in highs
        }

    def stuck(self) -> Mapping[Partition, str]:
        """See `ports.Source`; readiness reports them."""
        return {
            stuck.partition: f"offset {stuck.offset} cannot be read: {stuck.reason}"
            for stuck in self._batch.stuck.values()
        }

    def has_met(self) -> bool:
        """See `ports.Source`."""
        return self._member.has_met

    def aim(self, ends: Mapping[Partition, int]) -> None:
        """See `ports.Source`."""
        self._batch.aim(ends)

    def interrupt(self) -> None:
        """See `ports.Source`."""
        self._interrupted.set()

    def check(self) -> None:
        """See `ports.Source`: brokers, credentials, the listed topics and their ids."""
        self._topics.describe(self._settings.kafka.topics)
        names = self._settings.subscription
        self._member.committed([(name, 0) for name in names], self._settings.request_seconds)

    # -- inside -----------------------------------------------------------------------------

    def _begin(self, starts: Mapping[Partition, StartAt]) -> None:
        self._batch = OpenBatch(starts, self._limits, self._observer, self._clock)
        self._decision: DecisionNeeded | None = None
        self._holding = False
        self._spare_full_at = self._clock.monotonic()

    def _forget(self) -> None:
        decision = self._decision
        self._member.silence_all()
        self._begin({})
        self._decision = decision

    def _complete(self, idle_until: float) -> bool:
        if self._batch.is_full or self._interrupted.is_set() or self._batch.hits_aim():
            return True
        return self._clock.monotonic() >= self._due(idle_until)

    def _due(self, idle_until: float) -> float:
        began = self._batch.began_at
        return idle_until if began is None else began + self._limits.age_seconds

    def _release(self) -> None:
        if self._holding:
            self._holding = False
            self._member.fetch(self._batch.next_offsets(self._batch.live))

    def _take(self, timeout_seconds: float) -> None:
        """Serve the group, take one fetch, and act on what it brought."""
        messages = self._member.consume(self._batch.room, timeout_seconds)
        try:
            self._raise_changes()
            if messages:
                self._log.in_contact()
                self._absorb(messages)
        except StreamProcessorError:
            # Some of these messages were not taken: going on behind them would make holes.
            self._forget()
            raise

    def _absorb(self, messages: list[Message]) -> None:
        self._batch.take(messages)
        if self._batch.lost:
            self._recover_lost()
        self._fetch_misread()

    def _fetch_misread(self) -> None:
        """From our own position, whatever the client thinks; not those that are stuck."""
        slots = self._batch.misread
        if slots:
            self._member.silence(self._batch.next_offsets(slots).keys())
            self._member.fetch(self._batch.next_offsets(self._batch.live & slots))
            slots.clear()

    def _mend(self) -> None:
        """Give up what breaks a broker's connection, and try again what was given up."""
        batch = self._batch
        if self._log.oversized is not None:
            self._log.oversized = None
            for place, reason in self._probe.unreadable(batch.next_offsets(batch.live)).items():
                batch.give_up(batch.positions.slot(*place), reason)
        for stuck in self._probe.revived(batch.stuck.values()):
            batch.revive(stuck)
        self._fetch_misread()

    def _recover_lost(self) -> None:
        """Kafka does not hold our offset: retention, truncation, or another topic of that name."""
        lost = sorted(self._batch.lost)
        self._batch.lost.clear()
        self._watch.verify()
        positions = self._batch.positions
        marks = self._topics.watermarks(self._batch.next_offsets(lost))
        for slot in lost:
            part, position = positions.parts[slot], positions.next_offset(slot)
            low, high = marks[part.topic, part.partition]
            decision = out_of_range(part, position, low, high)
            if decision is None:
                self._batch.fail(slot, "offset out of range, though the broker holds it")
            elif position < low and self._settings.accept_gap:
                positions.skip_gap(slot, low)
                self._observer.event("gap_accepted", partition=str(part), begin=position, end=low)
            else:
                self._decision = decision
                raise decision
        self._batch.misread.update(lost)

    def _raise_changes(self) -> None:
        """Raise what the last calls of the client brought."""
        log = self._log
        if log.fatal is not None:
            self._replace_member()
        if log.rejected is not None:
            error, log.rejected = log.rejected, None
            raise as_ours(error, "let us in")
        if self._member.generation != self._seen_generation:
            raise Rebalanced("the partitions of the group were distributed anew")
        if self._decision is not None:
            raise self._decision
        since = log.away_since
        if since is not None and self._clock.monotonic() - since >= self._settings.contact_seconds:
            self._watch.verify()

    def _replace_member(self) -> None:
        """A fatal error ends a consumer for good; a new one joins under the same name."""
        error, self._log.fatal = self._log.fatal, None
        self._member.close()
        self._begin({})
        if error is None:
            return
        if meaning(error) is not Meaning.DUPLICATE_MEMBER:
            self._member = GroupMember(self._settings, self._log, self._on_revoke)
            self._seen_generation = -1
        raise as_ours(error, "go on with this consumer")
