"""The local mode: a real Kafka of our own, invented orders, tables in a folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from stream_processor.errors import ConfigurationError
from stream_processor.runtime.retry import Stop

FOLDER = "./lakehouse"
TOPIC = "orders"
NOT_RUNNING = "127.0.0.1:9092"


def first_line(environment: Mapping[str, str]) -> str:
    """What `run` says before anything else, so that nobody takes invented orders for real ones."""
    tables = environment.get("LAKEHOUSE") or FOLDER
    return f"LOCAL: built-in Kafka, invented orders, tables in {tables}"


def variables(
    environment: Mapping[str, str], bootstrap_servers: str = NOT_RUNNING
) -> dict[str, str]:
    """The environment with which the default file describes the local mode; starts nothing.

    Called by every verb that is given no pipeline file while no variable is set.
    """
    return {
        **environment,
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
        "KAFKA_TOPICS": TOPIC,
        "LAKEHOUSE": environment.get("LAKEHOUSE") or FOLDER,
    }


@contextmanager
def running(environment: Mapping[str, str], stop: Stop) -> Iterator[dict[str, str]]:
    """Kafka runs and orders arrive inside the block; yields what `variables` gives for them.

    Called by `run` without a pipeline file. Nothing is left running behind the block.
    """
    raise ConfigurationError("the local mode is not part of this build")
    yield variables(environment)
