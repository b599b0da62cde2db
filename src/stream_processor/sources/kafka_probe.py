"""Which partitions cannot be read on, and can they by now? Asked beside the group's own consumer.

A batch larger than the client may receive ends the connection to its broker and names nobody: all
partitions of that broker stand still. So each suspect is fetched alone, by a consumer that joins
no group; that also tells when a partition that was given up can be read again, without any risk
for those that flow.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import closing

from confluent_kafka import Consumer, TopicPartition

from stream_processor.errors import BrokerUnavailable
from stream_processor.ports import Clock, Observer
from stream_processor.sources.kafka_batch import StuckPartition
from stream_processor.sources.kafka_errors import Meaning, detail, meaning
from stream_processor.sources.kafka_group import onlooker
from stream_processor.sources.kafka_log import ClientLog
from stream_processor.sources.kafka_messages import failure, is_record, place
from stream_processor.sources.kafka_settings import KafkaSettings
from stream_processor.sources.kafka_topics import KafkaTopics, Place

_ANSWER_SECONDS = 5.0
_ALL_ANSWERS_SECONDS = 20.0  # nothing else is done meanwhile, not even a stop is noticed
_CONSUME_SECONDS = 0.1
_DELAY_SECONDS_MAX = 600.0


class KafkaProbe:
    """Used by the Kafka source, on its thread; each call makes and closes its own consumer."""

    def __init__(
        self, settings: KafkaSettings, topics: KafkaTopics, observer: Observer, clock: Clock
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._observer = observer
        self._clock = clock
        self._next_try: dict[StuckPartition, tuple[float, float]] = {}

    def unreadable(self, offsets: Mapping[Place, int]) -> dict[Place, str]:
        """Of these partitions at these offsets, those that cannot be read, each with the reason.

        Bounded: what is not answered within 20 s counts as readable, until asked again.
        Raises `BrokerUnavailable`.
        """
        found: dict[Place, str] = {}
        until = self._clock.monotonic() + _ALL_ANSWERS_SECONDS
        marks = self._topics.watermarks(offsets)
        # At its end nothing can be too large, and the answer would take a while.
        left = [(where, offset) for where, offset in offsets.items() if offset < marks[where][1]]
        while left and self._clock.monotonic() < until:
            # After each culprit a new client: the connection of this one is broken.
            log = ClientLog(self._observer, self._clock)
            with closing(onlooker(self._settings, log)) as consumer:
                while left and not log.oversized and self._clock.monotonic() < until:
                    where, offset = left.pop()
                    try:
                        reason = self._fault(consumer, log, where, offset)
                    except BrokerUnavailable:
                        continue
                    if reason is not None:
                        found[where] = reason
        return found

    def revived(self, stuck: Collection[StuckPartition]) -> list[StuckPartition]:
        """Those that can be read again. Each is tried after a delay that doubles up to 10 minutes.

        What went wrong in another way (the offset is gone, the topic is missing) counts as
        readable: the group's consumer then meets it and says so.
        """
        self._next_try = {each: at for each, at in self._next_try.items() if each in stuck}
        now, revived = self._clock.monotonic(), []
        first = self._settings.stuck_retry_seconds
        for each in stuck:
            at, delay = self._next_try.setdefault(each, (now + first, first))
            if at > now:
                continue
            if self._is_readable(each):
                revived.append(each)
            delay = min(2 * delay, _DELAY_SECONDS_MAX)
            self._next_try[each] = (self._clock.monotonic() + delay, delay)
        return revived

    def _is_readable(self, stuck: StuckPartition) -> bool:
        log = ClientLog(self._observer, self._clock)
        where = (stuck.partition.topic, stuck.partition.partition)
        with closing(onlooker(self._settings, log)) as consumer:
            try:
                return self._fault(consumer, log, where, stuck.offset) is None
            except BrokerUnavailable:
                return False

    def _fault(self, consumer: Consumer, log: ClientLog, where: Place, offset: int) -> str | None:
        """Why nothing can be read there; None when something can. Raises `BrokerUnavailable`."""
        consumer.assign([TopicPartition(*where, offset)])
        until = self._clock.monotonic() + _ANSWER_SECONDS
        while self._clock.monotonic() < until:
            for message in consumer.consume(1, _CONSUME_SECONDS):
                if place(message) != where:
                    continue
                if is_record(message) or meaning(failure(message)) is not Meaning.UNREADABLE:
                    return None
                return detail(failure(message))
            if log.oversized is not None:
                return detail(log.oversized)
        raise BrokerUnavailable("Kafka does not answer a probe")
