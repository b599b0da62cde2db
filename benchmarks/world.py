"""The real Kafka and MinIO that the benchmarks run on, and the topics that they read."""

from __future__ import annotations

import os
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from confluent_kafka import Producer

from stream_processor.operations.local_stack import (
    Credentials,
    create_bucket,
    start_kafka,
    start_minio,
)
from stream_processor.operations.orders import Event, orders
from stream_processor.sources.kafka_admin import create_topic

NO_CONFIG: Mapping[str, str] = MappingProxyType({})

SCHEMA: dict[str, Any] = {
    "version": 1,
    "name": "orders",
    "fields": [
        {"name": "order_id", "type": "string", "required": True},
        {"name": "customer_id", "type": "string", "on_error": "rescue"},
        {"name": "amount", "type": "decimal(12,2)", "required": True, "minimum": 0},
        {
            "name": "currency",
            "type": "string",
            "required": True,
            "normalise": ["trim", "upper"],
            "enum": ["EUR", "USD", "GBP"],
        },
        {
            "name": "created_at",
            "type": "timestamp",
            "required": True,
            "formats": ["rfc3339", "epoch_ms"],
        },
    ],
}
"""Five critical fields of an order; the other six of an event are unknown to it."""


@dataclass(frozen=True)
class World:
    """One Kafka and one MinIO. Every topic and every table that is asked for is a new one."""

    servers: str
    endpoint: str
    credentials: Credentials = field(repr=False)
    bucket: str

    def topic(self, partitions: int = 8, config: Mapping[str, str] = NO_CONFIG) -> str:
        """The name of a new topic."""
        name = f"bench-{uuid.uuid4().hex[:8]}"
        create_topic(self.servers, name, partitions, config)
        return name

    def pipeline(
        self, topic: str, *, unknown_fields: str = "rescue", commit: Mapping[str, Any] = NO_CONFIG
    ) -> dict[str, Any]:
        """A pipeline file that reads the topic into a new table on MinIO, as a dict."""
        name = f"bench-{uuid.uuid4().hex[:8]}"
        return {
            "version": 1,
            "name": name,
            "source": {"kafka": {"bootstrap_servers": self.servers, "topics": [topic]}},
            "schema": {"file": "given apart", "unknown_fields": unknown_fields},
            "sink": {
                "delta": {
                    "table": f"s3://{self.bucket}/{name}",
                    "commit": dict(commit),
                    "storage": {
                        "endpoint": self.endpoint,
                        "access_key_id": self.credentials.access_key,
                        "secret_access_key": self.credentials.secret_key,
                    },
                }
            },
        }


@contextmanager
def world() -> Iterator[World]:
    """The servers that the environment names (as `make test` does), else our own, stopped after."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        bucket = f"bench-{time.time_ns()}"
        if "KAFKA_BOOTSTRAP_SERVERS" in os.environ and "S3_ENDPOINT" in os.environ:
            keys = os.environ["S3_ACCESS_KEY_ID"], os.environ["S3_SECRET_ACCESS_KEY"]
            servers, endpoint = os.environ["KAFKA_BOOTSTRAP_SERVERS"], os.environ["S3_ENDPOINT"]
            create_bucket(endpoint, Credentials(*keys), bucket)
            yield World(servers, endpoint, Credentials(*keys), bucket)
            return
        with start_kafka(Path(folder) / "kafka") as kafka, start_minio(Path(folder) / "s3") as s3:
            create_bucket(s3.endpoint, s3.credentials, bucket)
            yield World(kafka.bootstrap_servers, s3.endpoint, s3.credentials, bucket)


def produce(servers: str, topic: str, events: Iterable[Event], partitions: int) -> None:
    """Send them round robin, so that every partition holds the same number."""
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 20, "compression.type": "lz4"})
    for number, (key, value) in enumerate(events):
        partition = number % partitions
        while True:
            try:
                producer.produce(topic, value, key, partition=partition)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush()


def filled_topic(made: World, events: int, broken_ratio: float, partitions: int = 8) -> str:
    """A new topic that holds so many orders."""
    topic = made.topic(partitions)
    produce(made.servers, topic, orders(events, seed=1, broken_ratio=broken_ratio), partitions)
    return topic
