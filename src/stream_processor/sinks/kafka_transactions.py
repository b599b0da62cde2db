"""Sends batches of events to one topic, each in one Kafka transaction, and reads back what landed.

For `dlq replay --to topic:NAME`. A transactional id belongs to one sender at a time: opening a
second one ends the transaction of the first, by commit or abort, before it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from stream_processor.errors import (
    BrokerUnavailable,
    ConfigurationError,
    Fenced,
    StreamProcessorError,
    TopicMissing,
)
from stream_processor.ports import Clock

Header = tuple[str, str | bytes | None]

_REQUEST_SECONDS = 30.0
_TRIES_MAX = 5
_POLL_SECONDS = 0.2
_FETCH_MESSAGES = 1_000
_OPEN_TRANSACTION_SECONDS_MAX = 60.0
_EVENT_BYTES_MAX = 100 * 2**20
_FIXED = {
    "enable.idempotence": True,
    "transaction.timeout.ms": 60_000,
    "message.timeout.ms": 50_000,
    "queue.buffering.max.messages": 100_000,
    "queue.buffering.max.kbytes": 64 * 1024,
    "message.max.bytes": _EVENT_BYTES_MAX,  # the topic decides what is too large, not the client
    "linger.ms": 20,
    "compression.type": "lz4",
    "partitioner": "murmur2_random",  # a key goes to the partition that Kafka's own client takes
    "delivery.report.only.error": True,
    "log_level": 2,
}
_FENCED = ("_FENCED", "PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH")


@dataclass(frozen=True, slots=True)
class Event:
    """What goes to the topic, byte for byte."""

    key: bytes | None
    value: bytes | None
    headers: list[Header]


class TransactionalTopic:
    """One topic and the right to send to it. Used by one thread; close it at the end.

    `properties` say how to reach the brokers, in librdkafka's names. Made and opened by a replay.
    Methods raise `BrokerUnavailable`, `TopicMissing`, and `Fenced` when another sender took over.
    """

    def __init__(
        self, properties: Mapping[str, str], topic: str, transactional_id: str, clock: Clock
    ) -> None:
        self.topic = topic
        self._properties = properties
        self._clock = clock
        self._refused: KafkaError | None = None
        settings = {**properties, **_FIXED, "transactional.id": transactional_id}
        with _settings_refused():
            self._producer = Producer({**settings, "on_delivery": self._delivered})

    def open(self) -> None:
        """Become the one sender; whatever an older one had begun is then over."""
        self._partitions()  # an idempotent id is not needed to learn that there is no such topic
        self._call(lambda: self._producer.init_transactions(_REQUEST_SECONDS), "open a transaction")

    def ends(self) -> dict[int, int]:
        """Where each partition ends now: whatever is sent from now on is at or behind it."""
        with closing(self._consumer("read_uncommitted")) as consumer:
            return {number: self._end(consumer, number) for number in self._partitions()}

    def send(self, events: Iterable[Event], before_commit: Callable[[], None]) -> None:
        """Send them all or none; `before_commit` is called when only the commit is left.

        After an exception the outcome may be unknown: `headers_since` tells.
        """
        self._refused = None
        self._call(self._producer.begin_transaction, "begin a transaction")
        try:
            for event in events:
                self._produce(event)
            self._call(lambda: self._producer.flush(_REQUEST_SECONDS), "send")
            self._raise_refused()
            before_commit()
            self._call(
                lambda: self._producer.commit_transaction(_REQUEST_SECONDS), "commit a transaction"
            )
        except StreamProcessorError:
            self._abort()
            raise

    def headers_since(self, ends: Mapping[int, int], name: str) -> Iterator[bytes]:
        """The values of one header of all committed events behind these ends.

        Reads as `read_committed` up to where the partitions end now, and waits for transactions of
        others that hide a part of it. A partition that is not named is read from its beginning.
        """
        now = self.ends()
        with closing(self._consumer("read_committed")) as consumer:
            starts = {number: ends.get(number, OFFSET_BEGINNING) for number in now}
            with self._asking("read"):
                consumer.assign([TopicPartition(self.topic, n, at) for n, at in starts.items()])
            for message in self._until(consumer, now):
                headers: Any = message.headers() or []
                yield from (value for header, value in headers if header == name and value)

    def close(self) -> None:
        """Forget what is not sent. Idempotent."""
        self._producer.purge()

    def _until(self, consumer: Consumer, ends: Mapping[int, int]) -> Iterator[Message]:
        left = {number: end for number, end in ends.items() if end > 0}
        heard = self._clock.monotonic()
        while left:
            with self._asking("read"):
                messages = consumer.consume(_FETCH_MESSAGES, _POLL_SECONDS)
            for message in messages:
                at = self._position(message)
                if message.error() is None:
                    heard = self._clock.monotonic()
                    yield message
                number = message.partition()
                if number in left and at >= left[number]:
                    del left[number]
            if self._clock.monotonic() - heard > _OPEN_TRANSACTION_SECONDS_MAX:
                raise BrokerUnavailable(
                    f"the topic {self.topic} could not be read to its end",
                    hint="a transaction of another producer may be open there; try again later",
                )

    def _position(self, message: Message) -> int:
        """The next offset after this message, or the one at which a partition ends."""
        error, offset = message.error(), int(message.offset() or 0)
        if error is None:
            return offset + 1
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
            return offset
        raise self._ours(error, "read")

    def _produce(self, event: Event) -> None:
        deadline = self._clock.monotonic() + _REQUEST_SECONDS
        while True:
            try:
                self._producer.produce(
                    self.topic, event.value, event.key, headers=event.headers or None
                )
            except BufferError as error:
                self._producer.poll(_POLL_SECONDS)
                self._raise_refused()
                if self._clock.monotonic() > deadline:
                    raise _unavailable("its queue stays full") from error
            except KafkaException as error:
                raise self._ours(error.args[0], "send") from error
            else:
                return

    def _call(self, request: Callable[[], Any], doing: str) -> None:
        """One request, again as long as the client says that it may be repeated."""
        for tries in range(1, _TRIES_MAX + 1):
            try:
                request()
            except KafkaException as error:
                problem = error.args[0]
                if not problem.retriable() or tries == _TRIES_MAX:
                    raise self._ours(problem, doing) from error
            else:
                return

    def _abort(self) -> None:
        """Best effort: opening the next sender ends the transaction in any case."""
        try:
            self._producer.abort_transaction(_REQUEST_SECONDS)
        except KafkaException:
            self._producer.purge()

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None and self._refused is None:
            self._refused = error

    def _raise_refused(self) -> None:
        if self._refused is not None:
            raise self._ours(self._refused, "send")

    def _partitions(self) -> list[int]:
        with closing(self._consumer("read_uncommitted")) as asker, self._asking("describe"):
            found = asker.list_topics(self.topic, timeout=_REQUEST_SECONDS)
        topic = found.topics[self.topic]
        if topic.error is not None:
            raise self._ours(topic.error, "describe")
        return sorted(topic.partitions)

    def _end(self, consumer: Consumer, number: int) -> int:
        place = TopicPartition(self.topic, number)
        with self._asking("ask for the end of"):
            _, high = consumer.get_watermark_offsets(place, _REQUEST_SECONDS, cached=False)
        return int(high)

    @contextmanager
    def _asking(self, doing: str) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            raise self._ours(error.args[0], doing) from error

    def _consumer(self, isolation: str) -> Consumer:
        settings = {
            "group.id": "stream-processor-replay",  # a formality: nobody joins it
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "isolation.level": isolation,
            "allow.auto.create.topics": False,
            "log_level": 2,
        }
        with _settings_refused():
            return Consumer({**self._properties, **settings})

    def _ours(self, error: KafkaError, doing: str) -> StreamProcessorError:
        """Names only: what Kafka says in words may quote what it was sent."""
        name = error.name()
        if name in _FENCED:
            return Fenced(
                "another replay of this pipeline has begun to send to a topic",
                hint="wait until it has ended, then start this again: what is done stays done",
            )
        if name in ("UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC"):
            return TopicMissing(
                f"there is no topic {self.topic}", hint="create it, or correct --to topic:NAME"
            )
        if name == "MSG_SIZE_TOO_LARGE":
            return StreamProcessorError(
                f"the topic {self.topic} refuses a record as too large",
                hint="raise its max.message.bytes; nothing of this step was sent",
            )
        return _unavailable(f"it failed to {doing} the topic {self.topic} ({name})")


@contextmanager
def _settings_refused() -> Iterator[None]:
    try:
        yield
    except KafkaException as error:
        raise ConfigurationError(
            f"the Kafka client refuses its settings ({error.args[0].name()})",
            hint="correct source.kafka.properties or source.kafka.security",
        ) from error


def _unavailable(why: str) -> BrokerUnavailable:
    return BrokerUnavailable(
        f"Kafka: {why}",
        hint="see whether the brokers run, and whether this user may write to the topic and use "
        "transactional ids",
    )
