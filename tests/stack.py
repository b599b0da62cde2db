"""The real Kafka and MinIO of the tests, as values; the fixtures are in conftest.py."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from stream_processor.operations.local_stack import (
    RunningKafka,
    RunningMinio,
    create_bucket,
    start_kafka,
    start_minio,
)
from stream_processor.operations.local_stack.buckets import Credentials
from stream_processor.sources.kafka_admin import create_topic

MakeTopic = Callable[..., str]
"""`topic(partitions=1, config={}) -> name`: a new topic with a name that nobody else has."""


@dataclass(frozen=True)
class Kafka:
    """A Kafka that tests share: never stop it, never use a topic that you did not make."""

    bootstrap_servers: str


@dataclass(frozen=True)
class Minio:
    """An S3 store that tests share; `region` is what its clients must say."""

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str = "us-east-1"

    @property
    def storage_options(self) -> dict[str, str]:
        """What delta-rs and obstore need to reach it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_ALLOW_HTTP": "true",
        }

    def create_bucket(self, prefix: str = "tests") -> str:
        """A new bucket; its name begins with the prefix."""
        name = f"{prefix}-{uuid.uuid4().hex[:12]}"
        create_bucket(self.endpoint, Credentials(self.access_key, self.secret_key), name)
        return name


def shared_kafka(folder: Path) -> Iterator[Kafka]:
    """The one that KAFKA_BOOTSTRAP_SERVERS names, else our own for this session."""
    if named := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield Kafka(named)
        return
    with start_kafka(folder) as kafka:
        yield Kafka(kafka.bootstrap_servers)
    shutil.rmtree(folder)


def shared_minio(folder: Path) -> Iterator[Minio]:
    """The one that S3_ENDPOINT and the two keys name, else our own for this session."""
    if named := os.environ.get("S3_ENDPOINT"):
        keys = os.environ["S3_ACCESS_KEY_ID"], os.environ["S3_SECRET_ACCESS_KEY"]
        yield Minio(named, *keys, region=os.environ.get("S3_REGION", "us-east-1"))
        return
    with start_minio(folder) as minio:
        yield minio_of(minio)
    shutil.rmtree(folder)


def minio_of(running: RunningMinio) -> Minio:
    """The same value for a server of one's own."""
    return Minio(running.endpoint, running.access_key, running.secret_key)


def make_topic(kafka: Kafka, partitions: int = 1, config: Mapping[str, str] | None = None) -> str:
    """A new topic on that Kafka."""
    name = f"t-{uuid.uuid4().hex[:12]}"
    create_topic(kafka.bootstrap_servers, name, partitions, config or {})
    return name


class OwnServers:
    """Servers that one test may stop, kill, suspend and start again; all end with the test."""

    def __init__(self, folder: Path, ended: ExitStack) -> None:
        self._folder = folder
        self._ended = ended

    def kafka(
        self, *, data_dir: Path | None = None, port: int | None = None, **settings: str
    ) -> RunningKafka:
        """A Kafka of one's own; with `data_dir` and `port` of a stopped one, that one again."""
        quick = {
            # By default a killed broker is waited for 9 seconds before it may come back.
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            # By default 128 MiB, half of our heap: a recovering broker then runs out of it.
            "log.cleaner.dedupe.buffer.size": "4194304",
        }
        dotted = {name.replace("_", "."): value for name, value in settings.items()}
        kafka = start_kafka(
            data_dir or self._folder / f"kafka-{uuid.uuid4().hex[:6]}",
            port=port,
            heap_mb=256,
            settings=quick | dotted,
        )
        self._ended.callback(kafka.stop)
        return kafka

    def minio(self, *, data_dir: Path | None = None, port: int | None = None) -> RunningMinio:
        """A MinIO of one's own; with `data_dir` and `port` of a stopped one, that one again."""
        folder = data_dir or self._folder / f"minio-{uuid.uuid4().hex[:6]}"
        minio = start_minio(folder, port=port)
        self._ended.callback(minio.stop)
        return minio
