"""Where the tests of sources get their events from: a memory log, or a topic of a real Kafka."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from confluent_kafka import Producer

from stream_processor.config.pipeline import KafkaSource as KafkaConfig
from stream_processor.errors import Rebalanced
from stream_processor.operations.kafka_readers import Silent
from stream_processor.ports import Batch, Partition, Source, StartAt
from stream_processor.runtime.clock import SystemClock
from stream_processor.sources.kafka import KafkaSource
from stream_processor.sources.kafka_settings import KafkaSettings
from stream_processor.sources.limits import BatchLimits
from stream_processor.sources.memory import Event, MemoryLog, MemorySource
from stream_processor.sources.raw_columns import Headers

QUICK = BatchLimits(rows_max=1000, bytes_max=2**20, age_seconds=0.3)
PATIENCE_SECONDS = 60


@dataclass
class Notes(Silent):
    """An observer that remembers events."""

    events: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def event(self, name: str, **fields: object) -> None:
        self.events.append((name, fields))

    def named(self, name: str) -> list[dict[str, object]]:
        return [fields for event, fields in self.events if event == name]


@dataclass(frozen=True)
class Sent:
    """One event to produce."""

    value: bytes | None
    key: bytes | None = None
    headers: Headers | None = None
    timestamp_ms: int = 1_700_000_000_000


class MemoryWorld:
    """Two partitions of one topic in memory."""

    def __init__(self) -> None:
        self.topic = "orders"
        self._parts = [Partition(self.topic, "topic-id", number) for number in range(2)]
        self._log = MemoryLog.of([])
        self._log.low = dict.fromkeys(self._parts, 0)
        self._ends = [0, 0]

    def send(self, partition: int, *events: Sent) -> None:
        for sent in events:
            offset = self._ends[partition]
            self._ends[partition] += 1
            self._log.script.append(
                Event(
                    self._parts[partition],
                    offset,
                    sent.value,
                    sent.key,
                    sent.timestamp_ms,
                    sent.headers,
                )
            )

    def source(
        self, limits: BatchLimits = QUICK, on_revoke: Callable[[], None] = lambda: None
    ) -> Source:
        return MemorySource(self._log, limits, on_revoke)


class KafkaWorld:
    """One topic of a real Kafka and one consumer group; closes what it made."""

    def __init__(self, servers: str, topic: str, group: str | None = None) -> None:
        self.topic = topic
        self.servers = servers
        self.notes = Notes()
        self._group = group or f"g-{topic}"
        self._producer = Producer({"bootstrap.servers": servers, "linger.ms": 0})
        self._sources: list[KafkaSource] = []

    def send(self, partition: int, *events: Sent) -> None:
        for sent in events:
            self._producer.produce(
                self.topic,
                sent.value,
                sent.key,
                partition=partition,
                timestamp=sent.timestamp_ms,
                headers=sent.headers,
            )
        left = self._producer.flush(PATIENCE_SECONDS)
        assert left == 0

    def settings(self, **changes: object) -> KafkaSettings:
        """Of this topic and group; `properties` and other keys of the file may be given."""
        own = {k: changes.pop(k) for k in list(changes) if k in KafkaSettings.__dataclass_fields__}
        file = {"bootstrap_servers": self.servers, "topics": (self.topic,), **changes}
        return KafkaSettings(kafka=KafkaConfig(**file), **{"group_id": self._group, **own})

    def source(
        self,
        limits: BatchLimits = QUICK,
        on_revoke: Callable[[], None] = lambda: None,
        settings: KafkaSettings | None = None,
    ) -> KafkaSource:
        settings = settings or self.settings()
        made = KafkaSource(settings, limits, self.notes, SystemClock(), on_revoke)
        self._sources.append(made)
        return made

    def close(self) -> None:
        for made in self._sources:
            made.close()


World = MemoryWorld | KafkaWorld


def deadline(what: str) -> Callable[[], None]:
    """Call it in a waiting loop: it fails the test when patience is over."""
    until = time.monotonic() + PATIENCE_SECONDS

    def check() -> None:
        assert time.monotonic() < until, f"waited in vain for {what}"

    return check


def assigned(source: Source, count: int) -> list[Partition]:
    """Poll until this many partitions are ours; as the engine does, claim after each change."""
    check = deadline(f"{count} partitions")
    while len(parts := sorted(source.assignment())) != count:
        check()
        try:
            source.poll()
        except Rebalanced:
            continue
    return parts


def started(source: Source, count: int, offset: int = 0) -> list[Partition]:
    """Own this many partitions and start each at the offset."""
    parts = assigned(source, count)
    source.start({part: StartAt(offset) for part in parts})
    return parts


def read(source: Source, upto: Mapping[Partition, int]) -> list[Batch]:
    """Poll until every partition has got that far; batches without progress are left out."""
    check = deadline(f"offsets {upto}")
    batches: list[Batch] = []
    reached = dict.fromkeys(upto, -1)
    while any(reached[part] < offset for part, offset in upto.items()):
        check()
        batch = source.poll()
        reached |= {part: batch.upto[part] for part in upto}
        if batch.records.num_rows or dict(batch.since) != dict(batch.upto):
            batches.append(batch)
    return batches


def rows(batches: list[Batch]) -> list[dict[str, object]]:
    """All records of these batches."""
    return [row for batch in batches for row in batch.records.to_pylist()]


def offsets(batches: list[Batch], partition: int = 0) -> list[object]:
    """The offsets of one partition's records, as they came."""
    return [row["offset"] for row in rows(batches) if row["partition"] == partition]
