"""Clients that only look at Kafka: they join no group, commit nothing and disturb no pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from stream_processor.config.pipeline import Pipeline
from stream_processor.ports import Offsets, Partition, Standing
from stream_processor.runtime.clock import SystemClock
from stream_processor.sources.kafka_holes import KafkaHoles
from stream_processor.sources.kafka_sample import KafkaSample
from stream_processor.sources.kafka_settings import KafkaSettings

_MEMORY_BYTES = 64 * 2**20
_PERSONS_PATIENCE_SECONDS = 4.5


class Silent:
    """An observer that says nothing: in a look, what the client would log is not worth a line.

    Also what the demo's observer stands on, which hears only a part.
    """

    def state(self, state: str, reason: str = "") -> None:
        """See `ports.Observer`."""

    def settled(self, upto: Offsets, dead_by_code: Mapping[tuple[str, str], int]) -> None:
        """See `ports.Observer`."""

    def timed(self, stage: str, seconds: float) -> None:
        """See `ports.Observer`."""

    def standing(self, where: Mapping[Partition, Standing]) -> None:
        """See `ports.Observer`."""

    def buffered(self, records: int, size_bytes: int) -> None:
        """See `ports.Observer`."""

    def event(self, name: str, **fields: object) -> None:
        """See `ports.Observer`."""


def holes_reader(pipeline: Pipeline) -> KafkaHoles:
    """For `verify --connect` and `status`. Nothing is contacted yet."""
    return KafkaHoles(_settings(pipeline), Silent(), SystemClock())


def sample_reader(pipeline: Pipeline) -> KafkaSample:
    """For `check --connect` and `check --sample`. Nothing is contacted yet.

    A person waits for the answer, so a Kafka that is away is given half of the time that a run
    gives one that may only be slow.
    """
    settings = replace(_settings(pipeline), request_seconds=_PERSONS_PATIENCE_SECONDS)
    return KafkaSample(settings, Silent(), SystemClock())


def _settings(pipeline: Pipeline) -> KafkaSettings:
    return KafkaSettings(
        kafka=pipeline.source.kafka, group_id=pipeline.group_id, memory_bytes=_MEMORY_BYTES
    )
