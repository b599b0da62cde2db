"""The one door to a producing Kafka client: a bounded queue in front, every loss raised.

For invented orders (demo, local mode) and benchmarks; what goes back to a topic leaves here too.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from stream_processor.errors import BrokerUnavailable

DELIVERY_SECONDS_MAX = 30
"""How long an event may wait for the broker before it counts as not delivered."""

_QUEUE_EVENTS_MAX = 50_000
_QUEUE_KIB_MAX = 32 * 1024
_SERVE_SECONDS = 0.2
_FIXED = {
    "enable.idempotence": True,  # a retry inside the client never doubles an event
    "message.timeout.ms": DELIVERY_SECONDS_MAX * 1000,
    "queue.buffering.max.messages": _QUEUE_EVENTS_MAX,
    "queue.buffering.max.kbytes": _QUEUE_KIB_MAX,
    "linger.ms": 20,
    "compression.type": "lz4",
    "delivery.report.only.error": True,  # a call of Python per event would cost more than sending
    "log_level": 2,  # what matters is raised; its lines would break the terminal's progress bar
}


class KafkaProducer:
    """Sends events to topics in the order given. One thread at a time; a context manager.

    At the end of the block everything is delivered, or `BrokerUnavailable` is raised.
    """

    def __init__(self, properties: Mapping[str, str]) -> None:
        """`properties` say how to reach the brokers, in librdkafka's names."""
        self._undelivered = 0
        self._reason = ""
        self._client = Producer({**properties, **_FIXED, "on_delivery": self._not_delivered})

    def send(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        """Hand one event over; waits while the queue is full. Raises `BrokerUnavailable`."""
        for _ in range(round(DELIVERY_SECONDS_MAX / _SERVE_SECONDS)):
            try:
                self._client.produce(topic, value, key)
            except BufferError:
                self._client.poll(_SERVE_SECONDS)
                self._raise_losses()
            except KafkaException as problem:
                raise _unavailable(problem.args[0].name()) from problem
            else:
                return
        raise _unavailable("its queue stays full")

    def flush(self) -> None:
        """Return when everything sent so far is on the broker. Raises `BrokerUnavailable`."""
        left = self._client.flush(DELIVERY_SECONDS_MAX + 5)
        self._raise_losses()
        if left:
            raise _unavailable(f"{left} events are still on their way")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.flush()
        else:
            self._client.purge()  # whoever waits for the error does not want to wait for events

    def _not_delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._undelivered += 1
            self._reason = error.name()

    def _raise_losses(self) -> None:
        lost, self._undelivered = self._undelivered, 0
        if lost:
            raise _unavailable(f"{lost} events were not delivered ({self._reason})")


def _unavailable(why: str) -> BrokerUnavailable:
    return BrokerUnavailable(
        f"Kafka did not take the events: {why}", hint="see whether the broker runs and has space"
    )
