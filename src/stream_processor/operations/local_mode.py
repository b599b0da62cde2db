"""The local mode: a built-in Kafka with invented orders, for whoever has set nothing up yet.

It runs the default pipeline file as it stands, only that its variables name a Kafka which is
started here. The demo uses the same Kafka in the same folder, so the two continue each other.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

from stream_processor.errors import BrokerUnavailable
from stream_processor.operations.local_stack import (
    RunningKafka,
    last_bootstrap_servers,
    start_kafka,
)
from stream_processor.operations.orders import Event, orders
from stream_processor.runtime.retry import Stop
from stream_processor.sinks.kafka_producer import KafkaProducer
from stream_processor.sources.kafka_admin import create_topic, end_offsets

LAKEHOUSE = "./lakehouse"
TOPIC = "orders"
PARTITIONS = 4
ORDERS_PER_SECOND = 200

_TICKS_PER_SECOND = 10
_JOIN_SECONDS_MAX = 5.0
_ORDERS_MAX = 2**40
# A stream that runs for weeks must not fill the disk: at most 1 GiB in all, beside the tables.
_TOPIC_CONFIG = {"retention.bytes": str(256 * 2**20), "segment.bytes": str(64 * 2**20)}
_NOBODY = "127.0.0.1:9"  # the port of the protocol "discard": nobody listens there


def first_line(environment: Mapping[str, str]) -> str:
    """What `run` says before anything else, so that nobody takes invented orders for real ones."""
    return f"LOCAL: built-in Kafka, invented orders, tables in {lakehouse_of(environment)}"


def lakehouse_of(environment: Mapping[str, str]) -> str:
    """The folder or prefix of the tables; the variable LAKEHOUSE alone moves them."""
    return environment.get("LAKEHOUSE") or LAKEHOUSE


def variables(
    environment: Mapping[str, str], bootstrap_servers: str | None = None
) -> dict[str, str]:
    """The environment with which the default file describes the local mode; starts nothing.

    Called by every verb that is given no pipeline file while no variable is set. Without
    `bootstrap_servers` it names the built-in Kafka of that folder, whether it runs or not.
    """
    lakehouse = lakehouse_of(environment)
    servers = bootstrap_servers or last_bootstrap_servers(kafka_folder(lakehouse)) or _NOBODY
    return {
        **environment,
        "KAFKA_BOOTSTRAP_SERVERS": servers,
        "KAFKA_TOPICS": TOPIC,
        "LAKEHOUSE": lakehouse,
    }


@contextmanager
def running(environment: Mapping[str, str], stop: Stop) -> Iterator[dict[str, str]]:
    """Kafka runs and orders arrive inside the block; yields what `variables` gives for them.

    Called by `run` without a pipeline file, on the main thread, whose end is also the end of Kafka.
    About `ORDERS_PER_SECOND` arrive until `stop` is set; their numbers continue those of the last
    time. Nothing is left running behind the block. Raises `Unavailable` when Kafka cannot be
    fetched or started, or when it runs already in this folder.
    """
    with built_in_kafka(lakehouse_of(environment)) as kafka:
        servers = kafka.bootstrap_servers
        with _orders_flowing(servers, stop):
            yield variables(environment, servers)


@contextmanager
def built_in_kafka(lakehouse: str) -> Iterator[RunningKafka]:
    """Kafka with the topic of the orders; stopped by its process id at the end of the block."""
    with start_kafka(kafka_folder(lakehouse)) as kafka:
        create_topic(kafka.bootstrap_servers, TOPIC, PARTITIONS, _TOPIC_CONFIG)
        yield kafka


def kafka_folder(lakehouse: str) -> Path:
    """Kafka's own files: beside the tables, for its offsets mean nothing to other tables."""
    if not lakehouse.startswith("s3://"):
        return Path(lakehouse) / ".kafka"
    return Path(LAKEHOUSE) / f".kafka-{hashlib.sha256(lakehouse.encode()).hexdigest()[:8]}"


def further_orders(bootstrap_servers: str, count: int, *, ago_ms: int = 0) -> Iterator[Event]:
    """Orders whose numbers continue those in the topic; the first was placed so long ago.

    Called by whoever fills the topic: the demo, `make up` and the local mode.
    Raises `BrokerUnavailable`.
    """
    first = sum(end_offsets(bootstrap_servers, TOPIC).values())
    return orders(count, seed=first, first=first, epoch_ms=int(time.time() * 1000) - ago_ms)


@contextmanager
def _orders_flowing(bootstrap_servers: str, stop: Stop) -> Iterator[None]:
    over = threading.Event()

    def flow() -> None:
        """When Kafka is away the pipeline says so; here it is only tried again."""
        while not (over.is_set() or stop.wait(1 / _TICKS_PER_SECOND)):
            with suppress(BrokerUnavailable):
                _send_until(over, stop, bootstrap_servers)

    sender = threading.Thread(target=flow, name="orders", daemon=True)
    sender.start()
    try:
        yield
    finally:
        over.set()
        sender.join(_JOIN_SECONDS_MAX)  # longer only when Kafka has died: then nothing is sent


def _send_until(over: threading.Event, stop: Stop, bootstrap_servers: str) -> None:
    """At an easy pace, until either is set."""
    events = further_orders(bootstrap_servers, _ORDERS_MAX)
    with KafkaProducer({"bootstrap.servers": bootstrap_servers}) as producer:
        while not (over.is_set() or stop.wait(1 / _TICKS_PER_SECOND)):
            for key, value in islice(events, ORDERS_PER_SECOND // _TICKS_PER_SECOND):
                producer.send(TOPIC, key, value)
