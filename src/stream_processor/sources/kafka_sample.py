"""A look at the newest events of the topics, for `check`: nobody notices it.

Its own consumer with offsets of its own: it joins no group and commits nothing.
"""

from __future__ import annotations

from contextlib import closing

import pyarrow as pa
from confluent_kafka import Consumer, TopicPartition

from stream_processor.errors import BrokerUnavailable, TopicMissing
from stream_processor.ports import Clock, Observer, Partition, StartAt
from stream_processor.sources.kafka_batch import FETCH_ROWS_MAX, OpenBatch
from stream_processor.sources.kafka_group import committed_by_group, onlooker
from stream_processor.sources.kafka_log import ClientLog
from stream_processor.sources.kafka_settings import KafkaSettings
from stream_processor.sources.kafka_topics import Described, KafkaTopics, places_of
from stream_processor.sources.limits import BatchLimits

_POLL_SECONDS = 0.5


class KafkaSample:
    """Asks and reads on behalf of one `check`. Made by the composition root, used by one thread.

    Every method raises `BrokerUnavailable`, `CredentialsRejected` or `TopicMissing`.
    """

    def __init__(self, settings: KafkaSettings, observer: Observer, clock: Clock) -> None:
        self._settings = settings
        self._observer = observer
        self._clock = clock
        self._log = ClientLog(observer, clock)
        self._topics = KafkaTopics(settings, self._log)

    def topics(self) -> dict[str, Described]:
        """The topics that the pipeline would read now: those listed, or those of the pattern."""
        names = self._topics.subscribed()
        if not names:
            raise TopicMissing(
                "no topic matches source.kafka.topics_regex",
                hint="the pipeline would wait for one; correct the pattern if one should match",
            )
        return self._topics.describe(names)

    def committed(self) -> int:
        """For how many partitions the consumer group has offsets: whether we may read them."""
        with closing(onlooker(self._settings, self._log)) as consumer:
            found = committed_by_group(
                consumer, self._log, places_of(self.topics()), self._settings.request_seconds
            )
        return len(found)

    def newest(self, records_max: int) -> pa.RecordBatch:
        """At most so many of the newest events, shared out over the partitions; shaped as RAW.

        Fewer where the topics hold fewer, or where transaction markers and compaction left holes.
        """
        described = self.topics()
        marks = self._topics.watermarks(places_of(described))
        filled = {place: at for place, at in marks.items() if at[1] > at[0]}
        share = -(-records_max // max(1, len(filled)))
        starts, ends = {}, {}
        for (topic, number), (low, high) in filled.items():
            part = Partition(topic, described[topic].topic_id, number)
            starts[part] = StartAt(max(low, high - share))
            ends[part] = high
        limits = BatchLimits(records_max, self._settings.memory_bytes, float("inf"))
        batch = OpenBatch(starts, limits, self._observer, self._clock)
        if starts:
            with closing(onlooker(self._settings, self._log)) as consumer:
                self._fill(batch, ends, consumer)
        return batch.close().records

    def _fill(self, batch: OpenBatch, ends: dict[Partition, int], consumer: Consumer) -> None:
        parts = batch.positions.parts
        at = batch.next_offsets(range(len(parts)))
        consumer.assign([TopicPartition(topic, number, n) for (topic, number), n in at.items()])
        heard = self._clock.monotonic()
        while not batch.is_full:
            # What cannot be read is not waited for: the rest is a sample too.
            failed = batch.misread | batch.lost
            positions = batch.positions
            if all(
                slot in failed or positions.next_offset(slot) >= ends[part]
                for slot, part in enumerate(parts)
            ):
                return
            messages = consumer.consume(min(FETCH_ROWS_MAX, batch.room), _POLL_SECONDS)
            if messages:
                heard = self._clock.monotonic()
                batch.take(messages)
            elif self._clock.monotonic() - heard > self._settings.contact_seconds:
                raise BrokerUnavailable(
                    "Kafka sends no events", hint="check that the brokers run and answer"
                )
