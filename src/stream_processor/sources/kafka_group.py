"""Our membership in the consumer group: who owns what, and what is being fetched.

Nothing here pauses, resumes or seeks. What is fetched is assigned at an exact offset and what is
not fetched is not assigned at all: an assignment at an offset is honoured exactly and waits for
the removal before it, while a pause soon after an assignment can lose the offset
(librdkafka #2190), or never be undone (#5591), and a seek fails after an error (#2961).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream_processor.errors import StreamProcessorError
from stream_processor.ports import Offsets
from stream_processor.sources.kafka_errors import (
    Meaning,
    as_ours,
    detail,
    meaning,
    settings_refused,
)
from stream_processor.sources.kafka_log import ClientLog
from stream_processor.sources.kafka_settings import KafkaSettings, consumer_properties
from stream_processor.sources.kafka_topics import Place

_COORDINATOR_TRIES = 20
_COORDINATOR_PAUSE_SECONDS = 0.25


def onlooker(settings: KafkaSettings, log: ClientLog) -> Consumer:
    """A consumer that nobody notices. Used by the readers that stand beside a pipeline.

    The group's name is a formality of the client, and needed to ask for the group's offsets:
    without `subscribe` nobody joins it. Raises `ConfigurationError`.
    """
    properties = consumer_properties(settings)
    properties.pop("group.instance.id", None)
    return _consumer(properties, log)


def _consumer(properties: Mapping[str, Any], log: ClientLog) -> Consumer:
    with settings_refused():
        return Consumer({**properties, "error_cb": log.client_error}, logger=log)


def committed_by_group(
    consumer: Consumer, log: ClientLog, places: Collection[Place], timeout_seconds: float
) -> dict[Place, int]:
    """What the consumer's group has committed; places without are left out. Nobody joins for it.

    Asked by the consumer: the admin client's request ends the whole process by a segmentation
    fault while the group has no coordinator yet, so on the first start of all
    (confluent-kafka-javascript #374).
    """
    if not places:
        return {}
    wanted = [TopicPartition(topic, partition) for topic, partition in places]
    answers = _ask_committed(consumer, log, wanted, timeout_seconds)
    for answer in answers:
        if answer.error is not None:
            raise as_ours(answer.error, f"tell the group's offset of {answer.topic}")
    return {(tp.topic, tp.partition): tp.offset for tp in answers if tp.offset >= 0}


def _ask_committed(
    consumer: Consumer, log: ClientLog, wanted: list[TopicPartition], timeout_seconds: float
) -> list[TopicPartition]:
    """On the first start of all the coordinator needs a moment to exist: that is waited for."""
    tries_left = _COORDINATOR_TRIES
    while True:
        try:
            return consumer.committed(wanted, timeout=timeout_seconds)
        except KafkaException as error:
            tries_left -= 1
            if meaning(error.args[0]) is not Meaning.PASSING or tries_left == 0:
                reason = log.reason_of(error.args[0])
                raise as_ours(reason, "tell the group's offsets") from error
        time.sleep(_COORDINATOR_PAUSE_SECONDS)


class GroupMember:
    """One consumer. Used by the Kafka source, on the engine's thread; callbacks run in `consume`.

    `generation` grows with every change of `owned`, and when the group meets for the first time.
    """

    def __init__(
        self, settings: KafkaSettings, log: ClientLog, on_revoke: Callable[[], None]
    ) -> None:
        self.owned: set[Place] = set()
        self.generation = 0
        self.has_met = False
        self._fetching: set[Place] = set()
        self._uncommitted: deque[Offsets] = deque()
        self._on_revoke = on_revoke
        self._log = log
        properties = {**consumer_properties(settings), "on_commit": self._committed}
        self._consumer = _consumer(properties, log)
        self._consumer.subscribe(
            settings.subscription,
            on_assign=self._assigned,
            on_revoke=self._revoked,
            on_lost=self._lost,
        )

    def consume(self, count: int, timeout_seconds: float) -> list[Message]:
        """Serve the group and take at most `count` records and events."""
        self._send_commits()
        try:
            messages: list[Message] = self._consumer.consume(count, timeout_seconds)
        except KafkaException as error:
            raise self._ours(error, "deliver events") from error
        return messages

    def fetch(self, offsets: Mapping[Place, int]) -> None:
        """Fetch these from exactly these offsets on; each must be owned and not yet fetched."""
        if offsets:
            self._consumer.incremental_assign(
                [TopicPartition(topic, p, offset) for (topic, p), offset in offsets.items()]
            )
            self._fetching |= offsets.keys()

    def silence(self, places: Collection[Place]) -> None:
        """Fetch these no longer; what was fetched ahead is dropped inside librdkafka."""
        self._unassign(self._fetching.intersection(places))

    def silence_all(self) -> None:
        """Fetch nothing; the membership stays."""
        self._unassign(set(self._fetching))

    def commit(self, upto: Offsets) -> None:
        """Offsets to tell the group with the next `consume` or `close`; from any thread.

        The client lets one call in at a time and not in turn: beside a loop of short `consume`
        calls, a commit sent from another thread was seen to wait for 16 seconds.
        """
        self._uncommitted.append(upto)

    def _send_commits(self) -> None:
        """Without waiting; never raises, since nothing rests on it."""
        while self._uncommitted:
            offsets = [
                TopicPartition(part.topic, part.partition, advance.upto)
                for part, advance in self._uncommitted.popleft().items()
                if (part.topic, part.partition) in self.owned
            ]
            if not offsets:
                continue
            try:
                self._consumer.commit(offsets=offsets, asynchronous=True)
            except (KafkaException, RuntimeError) as error:  # the latter when it is closed
                self._log.commit_failed(str(error))

    def committed(self, places: Collection[Place], timeout_seconds: float) -> dict[Place, int]:
        """What the group has committed; places without are left out."""
        return committed_by_group(self._consumer, self._log, places, timeout_seconds)

    def _ours(self, error: KafkaException, doing: str) -> StreamProcessorError:
        return as_ours(self._log.reason_of(error.args[0]), doing)

    def highs(self, places: Iterable[Place]) -> dict[Place, int]:
        """The ends of these partitions as last told by a fetch; no request is made."""
        found = {}
        for topic, partition in places:
            place = TopicPartition(topic, partition)
            _low, high = self._consumer.get_watermark_offsets(place, cached=True)
            if high >= 0:
                found[topic, partition] = high
        return found

    def close(self) -> None:
        """Leave the group; the revoke callback runs in here."""
        self._send_commits()
        self._consumer.close()

    def _unassign(self, places: set[Place]) -> None:
        if not places:
            return
        self._fetching -= places
        try:
            self._consumer.incremental_unassign([TopicPartition(t, p) for t, p in places])
        except KafkaException as error:
            raise self._ours(error, "stop fetching") from error

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # The empty list keeps the client from starting them by itself at the group's offsets.
        consumer.incremental_assign([])
        if not self.has_met:  # the first answer of the group is news, also when it gives nothing
            self.has_met = True
            self.generation += 1
        self._change(self.owned.union, partitions)

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if partitions:
            self._on_revoke()
            self._send_commits()
        self._lost(consumer, partitions)

    def _lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        gone = self._fetching.intersection((tp.topic, tp.partition) for tp in partitions)
        self._fetching -= gone
        # Also when empty: the call is our answer to the group.
        consumer.incremental_unassign([TopicPartition(t, p) for t, p in gone])
        self._change(self.owned.difference, partitions)

    def _change(
        self, combine: Callable[[list[Place]], set[Place]], partitions: list[TopicPartition]
    ) -> None:
        if partitions:
            self.owned = combine([(tp.topic, tp.partition) for tp in partitions])
            self.generation += 1

    def _committed(self, error: KafkaError | None, _partitions: list[TopicPartition]) -> None:
        if error is not None:
            self._log.commit_failed(detail(error))
