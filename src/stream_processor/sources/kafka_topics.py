"""What the brokers say about topics: ids, partitions, watermarks. Bounded blocking requests."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import Any

from confluent_kafka import IsolationLevel, KafkaException, TopicCollection, TopicPartition, Uuid
from confluent_kafka.admin import AdminClient, ClusterMetadata, OffsetSpec

from stream_processor.errors import BrokerUnavailable, Rebalanced
from stream_processor.ports import Partition
from stream_processor.sources.kafka_errors import as_ours, settings_refused
from stream_processor.sources.kafka_log import ClientLog
from stream_processor.sources.kafka_settings import KafkaSettings, admin_properties

_NIL = str(Uuid(0, 0))

Place = tuple[str, int]
"""(topic name, partition): how Kafka's own requests name a partition."""


@dataclass(frozen=True, slots=True)
class Described:
    """One topic as the broker describes it; `topic_id` is None with `topic_identity: name`."""

    topic_id: str | None
    partitions: int


def places_of(described: Mapping[str, Described]) -> list[Place]:
    """Every partition of these topics."""
    return [(name, p) for name, topic in described.items() for p in range(topic.partitions)]


class KafkaTopics:
    """Asks the brokers. Used by the Kafka source, on the engine's thread.

    Every method raises `BrokerUnavailable`, `CredentialsRejected` or `TopicMissing`; none falls
    back to the topic's name when its id cannot be had, since the tables know topics by id.
    """

    def __init__(self, settings: KafkaSettings, log: ClientLog) -> None:
        self._settings = settings
        self._log = log
        properties: dict[str, Any] = {**admin_properties(settings), "error_cb": log.client_error}
        with settings_refused():
            self._admin = AdminClient(properties, logger=log)

    def subscribed(self) -> list[str]:
        """The topics that we would read now: those listed, and those of the pattern that exist."""
        names = set(self._settings.kafka.topics)
        pattern = self._settings.kafka.topics_regex
        if pattern is not None:
            names |= {name for name in self._metadata().topics if re.search(pattern, name)}
        return sorted(names)

    def describe(self, topics: Collection[str]) -> dict[str, Described]:
        """Ids and partition counts. Raises `TopicMissing` when one of them does not exist."""
        names = sorted(set(topics))
        if not names:
            return {}
        if self._settings.kafka.topic_identity == "name":
            return {name: Described(None, self._partition_count(name)) for name in names}
        asked = self._ask(
            lambda: self._admin.describe_topics(
                TopicCollection(names), request_timeout=self._settings.request_seconds
            ),
            "tell the topic id",
        )
        return {
            name: Described(id_text(name, found.topic_id), len(found.partitions))
            for name, found in asked.items()
        }

    def _partition_count(self, name: str) -> int:
        topic = self._metadata(name).topics[name]
        if topic.error is not None:
            raise as_ours(topic.error, f"describe topic {name}")
        return len(topic.partitions)

    def _metadata(self, topic: str | None = None) -> ClusterMetadata:
        """Of one topic, or of all."""
        try:
            return self._admin.list_topics(topic, timeout=self._settings.request_seconds)
        except KafkaException as error:
            self._admin.poll(0)
            raise as_ours(self._log.reason_of(error.args[0]), "describe topics") from error

    def watermarks(self, places: Collection[Place]) -> dict[Place, tuple[int, int]]:
        """(low, last stable offset): where a read_committed reader can begin and will end."""
        low = self._offsets(places, OffsetSpec.earliest())
        high = self._offsets(places, OffsetSpec.latest())
        return {place: (low[place], high[place]) for place in places}

    def watermarks_of(self, parts: Collection[Partition]) -> dict[Partition, tuple[int, int]]:
        """`Source.watermarks`. Raises `Rebalanced` when they are of another incarnation."""
        found = self.watermarks([(part.topic, part.partition) for part in parts])
        described = self.describe({part.topic for part in parts})
        for part in parts:
            if described[part.topic].topic_id != part.bare.topic_id:
                raise Rebalanced(f"topic {part.topic} was created again")
        return {part: found[part.topic, part.partition] for part in parts}

    def start_offsets(self, places: Collection[Place]) -> dict[Place, int]:
        """The start policy resolved to numbers; a time after the last event means the end."""
        timestamp = self._settings.start_timestamp_ms()
        if self._settings.kafka.start == "earliest":
            return self._offsets(places, OffsetSpec.earliest())
        end = self._offsets(places, OffsetSpec.latest())
        if timestamp is None:
            return end
        found = self._offsets(places, OffsetSpec.for_timestamp(timestamp))
        return {place: found[place] if found[place] >= 0 else end[place] for place in places}

    def anchors(self, topics: Collection[str]) -> dict[Partition, int]:
        """`Source.anchors`: every partition of these topics, under the id that they have now."""
        described = self.describe(topics)
        offsets = self.start_offsets(places_of(described))
        if self.describe(topics) != described:
            raise Rebalanced("a topic was created again or got more partitions meanwhile")
        return {
            Partition(name, described[name].topic_id, partition): offset
            for (name, partition), offset in offsets.items()
        }

    def _offsets(self, places: Collection[Place], spec: OffsetSpec) -> dict[Place, int]:
        wanted = {TopicPartition(topic, partition): spec for topic, partition in places}
        if not wanted:
            return {}
        answers = self._ask(
            lambda: self._admin.list_offsets(
                wanted,
                isolation_level=IsolationLevel.READ_COMMITTED,
                request_timeout=self._settings.request_seconds,
            ),
            "list offsets",
        )
        return {(tp.topic, tp.partition): answer.offset for tp, answer in answers.items()}

    def _ask(self, send: Callable[[], Mapping[Any, Future[Any]]], doing: str) -> dict[Any, Any]:
        """Send one request and wait for all of its futures; its first failure becomes ours."""
        about = ""
        answers = {}
        # The client's own time-out fires first; the margin only bounds a bug of the client.
        margin = self._settings.request_seconds + 5
        try:
            for key, future in send().items():
                about = f" for {_name(key)}"
                answers[key] = future.result(margin)
        except KafkaException as error:
            self._admin.poll(0)  # a time-out's reason may wait in the queue of errors
            raise as_ours(self._log.reason_of(error.args[0]), doing + about) from error
        except FutureTimeout as error:
            raise BrokerUnavailable(f"Kafka did not answer when asked to {doing}") from error
        self._admin.poll(0)  # serves the queue of log lines, which grows otherwise
        return answers


def id_text(name: str, topic_id: Uuid) -> str:
    """Kafka's own text of an id. A broker without ids answers nil, for every topic the same."""
    if str(topic_id) == _NIL:
        raise BrokerUnavailable(
            f"Kafka does not tell the id of topic {name}: the brokers know none, or are too old",
            hint="set source.kafka.topic_identity: name; then a topic that is created again is "
            "not told from the one before",
        )
    return str(topic_id)


def _name(key: object) -> str:
    return f"{key.topic}[{key.partition}]" if isinstance(key, TopicPartition) else str(key)
