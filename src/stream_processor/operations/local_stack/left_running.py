"""`make up` and `make down`: a Kafka and a MinIO that outlive the command that started them."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from stream_processor.errors import Unavailable
from stream_processor.operations.local_mode import PARTITIONS, TOPIC, further_orders
from stream_processor.operations.local_stack.buckets import REGION, create_bucket
from stream_processor.operations.local_stack.kafka import (
    STOP_GRACE_SECONDS,
    RunningKafka,
    last_bootstrap_servers,
    start_kafka,
)
from stream_processor.operations.local_stack.minio import RunningMinio, start_minio
from stream_processor.operations.local_stack.process import (
    Lifetime,
    ProcessIdentity,
    ServerProcess,
)
from stream_processor.operations.orders import SPACING_MS
from stream_processor.sinks.kafka_producer import KafkaProducer
from stream_processor.sources.kafka_admin import create_topic

FOLDER = Path(".stack")
BUCKET = "lakehouse"
ORDERS = 10_000
NAMES = ("kafka", "minio")


def up(folder: Path = FOLDER) -> str:
    """Start both (or find them running), make bucket and topic, write the environment.

    Returns what the person reads: where they are, and the two commands that run the job on them.
    The keys stand only in the environment file, which only its owner can read.
    """
    running = _running(folder)
    if len(running) == len(NAMES) and (folder / "env").exists():
        return f"Kafka and MinIO are running already.\n{_what_to_type(folder)}"
    down(folder)
    folder.mkdir(exist_ok=True)
    with_kafka = start_kafka(folder / "kafka", lifetime=Lifetime.DETACHED)
    _remember(folder, kafka=with_kafka.process)
    with_minio = start_minio(folder / "minio", lifetime=Lifetime.DETACHED)
    _remember(folder, kafka=with_kafka.process, minio=with_minio.process)
    create_topic(with_kafka.bootstrap_servers, TOPIC, PARTITIONS)
    create_bucket(with_minio.endpoint, with_minio.credentials, BUCKET)
    _write_environment(folder, with_kafka, with_minio)
    return (
        f"Kafka   {with_kafka.bootstrap_servers}   topic {TOPIC}, {PARTITIONS} partitions\n"
        f"MinIO   {with_minio.endpoint}   bucket {BUCKET}\n{_what_to_type(folder)}"
    )


def down(folder: Path = FOLDER) -> str:
    """Stop exactly the processes that `up` started; their data stays for the next `up`."""
    running = _running(folder)
    _stop(running)
    for stale in ("env", "processes.json"):
        (folder / stale).unlink(missing_ok=True)
    return f"Stopped: {', '.join(running)}" if running else "Nothing of `make up` is running."


def send_orders(folder: Path = FOLDER) -> str:
    """Send invented orders, so that the job has something to do; never to a Kafka of others.

    Each call continues the order numbers. Raises `Unavailable` when nothing of `up` is running.
    """
    servers = last_bootstrap_servers(folder / "kafka")
    if servers is None or "kafka" not in _running(folder):
        raise Unavailable("Nothing of `make up` is running.", hint="Start it: make up")
    with KafkaProducer({"bootstrap.servers": servers}) as producer:
        for key, value in further_orders(servers, ORDERS, ago_ms=ORDERS * SPACING_MS):
            producer.send(TOPIC, key, value)
    return f"{ORDERS:,} invented orders are in the topic {TOPIC}, about 1 % of them broken."


def _running(folder: Path) -> dict[str, ServerProcess]:
    path = folder / "processes.json"
    noted = json.loads(path.read_text()) if path.exists() else {}
    known = {name: ServerProcess(ProcessIdentity(**one)) for name, one in noted.items()}
    return {name: process for name, process in known.items() if process.is_running()}


def _stop(running: Mapping[str, ServerProcess]) -> None:
    for process in running.values():
        process.stop(STOP_GRACE_SECONDS)


def _remember(folder: Path, **processes: ServerProcess) -> None:
    """After each start, so that `down` finds what an interrupted `up` has left."""
    identities = {name: asdict(process.identity) for name, process in processes.items()}
    (folder / "processes.json").write_text(json.dumps(identities))


def _write_environment(folder: Path, kafka: RunningKafka, minio: RunningMinio) -> None:
    variables = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "KAFKA_TOPICS": TOPIC,
        "LAKEHOUSE": f"s3://{BUCKET}/tables",
        "S3_ENDPOINT": minio.endpoint,
        "S3_ACCESS_KEY_ID": minio.access_key,
        "S3_SECRET_ACCESS_KEY": minio.secret_key,
        "S3_REGION": REGION,
    }
    path = folder / "env"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.writelines(
            f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()
        )


def _what_to_type(folder: Path) -> str:
    return (
        "Put 10,000 invented orders into the topic, and run the job on them:\n"
        f"  source {folder}/env\n"
        "  .venv/bin/python -m stream_processor.operations.local_stack orders\n"
        "  .venv/bin/python -m stream_processor.main run\n"
        "Stop them: make down"
    )
