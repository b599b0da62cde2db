"""A producer that never rests while everything around it dies, and remembers what Kafka took."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from typing import Any

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from tests.audit import At, Sent
from tests.crash.world import event, topic_id

Landed = dict[At, dict[int, Sent | None]]

_TICK_SECONDS = 0.1
_READ_SECONDS_MAX = 60.0
_FLUSH_SECONDS_MAX = 90.0


class SteadyProducer:
    """Sends events at a steady pace from a thread of its own; `landed` after `finish`.

    It is idempotent and practically never gives up, so an event is in the log exactly once even
    when Kafka is killed between taking it and saying so.
    """

    def __init__(self, bootstrap: str, topic: str, partitions: int, seed: int) -> None:
        self.topic = topic
        self.failures: list[str] = []
        self.sent = 0
        self._partitions = partitions
        self.identity = topic_id(bootstrap, topic)
        self._dice = random.Random(seed)
        self._landed: Landed = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._send, name="producer", daemon=True)
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": "true",
                "linger.ms": "20",
                "message.timeout.ms": "600000",
                "reconnect.backoff.max.ms": "500",
                "log_level": "0",  # it loses its broker on purpose
            }
        )

    def start(self, per_second: int) -> None:
        """Begin to send."""
        self._per_tick = max(1, int(per_second * _TICK_SECONDS))
        self._thread.start()

    def finish(self) -> Landed:
        """Send no more; what landed where, once Kafka has acknowledged all of it."""
        self._over.set()
        self._thread.join()
        left = self._producer.flush(_FLUSH_SECONDS_MAX)
        assert left == 0, f"Kafka did not take {left} events in {_FLUSH_SECONDS_MAX} s"
        assert not self.failures, self.failures[:5]
        assert sum(map(len, self._landed.values())) == self.sent
        return self._landed

    def _send(self) -> None:
        while not self._over.wait(_TICK_SECONDS):
            for _ in range(self._per_tick):
                self._one()
            self._producer.poll(0)

    def _one(self) -> None:
        key = str(self.sent).encode() if self._dice.random() < 0.9 else None
        partition = self._dice.randrange(self._partitions)
        self._producer.produce(
            self.topic,
            event(self.sent, self._dice),
            key,
            partition=partition,
            on_delivery=self._delivered,
        )
        self.sent += 1

    def _delivered(self, error: Any, message: Any) -> None:
        if error is not None:
            self.failures.append(f"event not taken: {error}")
            return
        landed = self._landed.setdefault(At(self.identity, message.partition()), {})
        landed[message.offset()] = Sent(message.key(), message.value())


def differences(bootstrap: str, topic: str, landed: Landed) -> Iterator[str]:
    """Where the log itself differs from what its producer was told: nothing, or Kafka lost it.

    Without this check, a fault of Kafka would look like one of ours.
    """
    for at, sent in sorted(landed.items()):
        kept = log_of(bootstrap, topic, at.partition)
        for offset in sorted(kept.keys() ^ sent.keys()):
            where = "only in the log" if offset in kept else "gone from the log"
            yield f"{topic}/{at.partition} offset {offset}: {where}"


def ends(bootstrap: str, topic: str, partitions: int) -> dict[int, int]:
    """Where the log of each partition ends now."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "chaos-look"})
    try:
        return {
            number: consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=30)[1]
            for number in range(partitions)
        }
    finally:
        consumer.close()


def log_of(bootstrap: str, topic: str, partition: int) -> dict[int, Sent]:
    """Every event that the log of a partition holds now, by a client that is not ours."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "chaos-look",
            "enable.auto.commit": "false",
            "enable.partition.eof": "true",
        }
    )
    consumer.assign([TopicPartition(topic, partition, 0)])
    found: dict[int, Sent] = {}
    try:
        while True:
            message = consumer.poll(_READ_SECONDS_MAX)
            assert message is not None, f"{topic}/{partition} cannot be read"
            if (error := message.error()) is None:
                found[message.offset() or 0] = Sent(message.key(), message.value())
            elif error.code() == KafkaError._PARTITION_EOF:
                return found
    finally:
        consumer.close()
