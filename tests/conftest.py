"""Fixtures for tests that need the real Kafka and MinIO; mark those with `@pytest.mark.stack`.

kafka            (session) `.bootstrap_servers`; started once, or named by KAFKA_BOOTSTRAP_SERVERS
minio            (session) `.endpoint .access_key .secret_key .region .storage_options
                 .create_bucket()`; started once, or named by S3_ENDPOINT and the two S3 keys
topic            `topic(partitions=4, config={"cleanup.policy": "compact"})` -> a new topic's name
bucket_url       `s3://bucket/prefix`, a prefix of this test alone
storage_options  delta-rs options for `bucket_url`
own_kafka        `k = own_kafka()` a server of this test: `k.stop() k.kill() k.process.suspend()`,
                 again by `own_kafka(data_dir=k.data_dir, port=k.port)`; settings as
                 `own_kafka(log_retention_ms="1000")` (`_` stands for `.`)
own_minio        the same for MinIO; `tests.stack.minio_of(m)` makes a `Minio` of it

`--no-skips` (make test): a skipped test fails, and so does a session without a single stack test.
"""

from __future__ import annotations

import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from hypothesis import settings

from stream_processor.operations.local_stack import RunningKafka, RunningMinio
from tests.stack import (
    Kafka,
    MakeTopic,
    Minio,
    OwnServers,
    make_topic,
    shared_kafka,
    shared_minio,
)

pytest_plugins = ["tests.no_skips"]

# Searches over many histories: `make test` has them, `make check` ends before coffee is ready.
_SLOW = tuple(
    f"tests/{place}"
    for place in (
        "crash/",
        "model/",
        "properties/",
        "unit/operations/dlq/",
        "unit/operations/maintain/",
        "unit/processor/test_worst_case.py",
        "unit/processor/native/test_memory.py",
    )
)


def pytest_configure() -> None:
    """Workers on several cores ignore Ctrl-C, and what they start would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith(_SLOW):
            item.add_marker(pytest.mark.slow)


# No property is a timed test: on a busy machine a deadline only tells that the machine is busy.
settings.register_profile("house", deadline=None)
settings.load_profile("house")


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    yield from shared_kafka(tmp_path_factory.mktemp("kafka"))


@pytest.fixture(scope="session")
def minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Minio]:
    yield from shared_minio(tmp_path_factory.mktemp("minio"))


@pytest.fixture(scope="session")
def session_bucket(minio: Minio) -> str:
    return minio.create_bucket()


@pytest.fixture
def topic(kafka: Kafka) -> MakeTopic:
    return partial(make_topic, kafka)


@pytest.fixture
def bucket_url(session_bucket: str) -> str:
    return f"s3://{session_bucket}/{uuid.uuid4().hex[:12]}"


@pytest.fixture
def storage_options(minio: Minio) -> dict[str, str]:
    return minio.storage_options


@pytest.fixture
def own_servers(tmp_path: Path) -> Iterator[OwnServers]:
    with ExitStack() as ended:
        yield OwnServers(tmp_path, ended)


@pytest.fixture
def own_kafka(own_servers: OwnServers) -> Callable[..., RunningKafka]:
    return own_servers.kafka


@pytest.fixture
def own_minio(own_servers: OwnServers) -> Callable[..., RunningMinio]:
    return own_servers.minio
