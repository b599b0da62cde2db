"""What Kafka still holds: chosen offsets again, to tell a true hole from a lost event, and ends.

For `verify --connect` and `status`. Its own consumer with offsets of its own: it joins no group,
commits nothing, and so disturbs no running pipeline.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, suppress

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from stream_processor.errors import BrokerUnavailable, TopicMissing
from stream_processor.ports import Clock, Observer, Partition
from stream_processor.sources.kafka_errors import Meaning, as_ours, meaning
from stream_processor.sources.kafka_group import onlooker
from stream_processor.sources.kafka_log import ClientLog
from stream_processor.sources.kafka_settings import KafkaSettings
from stream_processor.sources.kafka_topics import Described, KafkaTopics

# Reading on costs less than seeking, up to about this distance.
_READ_ON_OFFSETS = 5_000
_MESSAGES_AT_ONCE = 1_000
_POLL_SECONDS = 1.0

Range = tuple[int, int]


class KafkaHoles:
    """Implements `operations.verify.HoleReader`, and `ends` for `status`.

    Made by the composition root; used by one thread.
    """

    def __init__(self, settings: KafkaSettings, observer: Observer, clock: Clock) -> None:
        self._settings = settings
        self._log = ClientLog(observer, clock)
        self._clock = clock
        self._topics = KafkaTopics(settings, self._log)

    def readable(self, partition: Partition) -> Range | None:
        """[low, last stable offset); None when the topic is gone or was created again.

        Raises `BrokerUnavailable` or `CredentialsRejected`.
        """
        return self._held([partition]).get(partition)

    def ends(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """Where a reader ends now, for `status`; partitions that are gone are left out.

        Raises `BrokerUnavailable` or `CredentialsRejected`.
        """
        return {partition: high for partition, (_, high) in self._held(partitions).items()}

    def _held(self, partitions: Collection[Partition]) -> dict[Partition, Range]:
        described: dict[str, Described] = {}
        for topic in sorted({partition.topic for partition in partitions}):
            with suppress(TopicMissing):
                described |= self._topics.describe([topic])
        here = [each for each in partitions if _is(each, described.get(each.topic))]
        found = self._topics.watermarks([(each.topic, each.partition) for each in here])
        return {each: found[each.topic, each.partition] for each in here}

    def existing(self, partition: Partition, ranges: Sequence[Range]) -> Iterator[int]:
        """The offsets in these ascending ranges that a `read_committed` reader gets, ascending.

        The ranges must lie within `readable`. Raises `BrokerUnavailable` when Kafka is silent for
        `contact_seconds`, or another `Unavailable`.
        """
        with closing(onlooker(self._settings, self._log)) as consumer:
            for span in _spans(ranges):
                begin, end = span[0][0], span[-1][1]
                offsets = self._read(consumer, partition, begin, end)
                yield from _within(offsets, span)

    def _read(
        self, consumer: Consumer, partition: Partition, begin: int, end: int
    ) -> Iterator[int]:
        consumer.assign([TopicPartition(partition.topic, partition.partition, begin)])
        heard = self._clock.monotonic()
        while True:
            messages = consumer.consume(_MESSAGES_AT_ONCE, _POLL_SECONDS)
            if messages:
                heard = self._clock.monotonic()
            elif self._clock.monotonic() - heard > self._settings.contact_seconds:
                raise BrokerUnavailable(
                    f"Kafka sends nothing of {partition} from offset {begin} on",
                    hint="check that the brokers run",
                )
            for message in messages:
                offset = _offset(message, partition)
                if offset is None or offset >= end:
                    return
                yield offset


def _is(partition: Partition, described: Described | None) -> bool:
    """Whether the topic of that name is still the same topic, and has this partition."""
    return (
        described is not None
        and described.topic_id == partition.bare.topic_id
        and partition.partition < described.partitions
    )


def _offset(message: Message, partition: Partition) -> int | None:
    """The offset of an event, None at the end of the partition."""
    error = message.error()
    if error is None:
        offset = message.offset()
        if offset is None:
            raise BrokerUnavailable(f"Kafka sent an event of {partition} without an offset")
        return int(offset)
    if meaning(error) is Meaning.END_OF_PARTITION:
        return None
    raise as_ours(error, f"read {partition} again") from KafkaException(error)


def _spans(ranges: Sequence[Range]) -> Iterator[list[Range]]:
    """Ranges that are read in one go."""
    span: list[Range] = []
    for each in ranges:
        if span and each[0] - span[-1][1] > _READ_ON_OFFSETS:
            yield span
            span = []
        span.append(each)
    if span:
        yield span


def _within(offsets: Iterator[int], ranges: Sequence[Range]) -> Iterator[int]:
    """Those offsets that lie in a range; both ascend."""
    left = iter(ranges)
    begin, end = next(left)
    for offset in offsets:
        while offset >= end:
            begin, end = next(left, (offset + 1, offset + 2))
        if offset >= begin:
            yield offset
