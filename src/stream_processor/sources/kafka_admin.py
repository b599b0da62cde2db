"""Topics made and looked up by Kafka's admin client: for the demo, the local stack and the tests.

The pipeline itself never makes a topic: in a user's cluster that is a person's decision.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from stream_processor.errors import BrokerUnavailable

TIMEOUT_SECONDS = 30.0
_SETTLING_SECONDS = 0.1
_SETTLING = {
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.OFFSET_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
}
NO_CONFIG: Mapping[str, str] = MappingProxyType({})


def create_topic(
    bootstrap_servers: str,
    name: str,
    partitions: int,
    config: Mapping[str, str] = NO_CONFIG,
) -> None:
    """Make a topic with one replica; silent when it is there already, whatever its partitions.

    Called by the demo, `make up` and tests. Returns when the broker lists it with a leader for
    every partition. Raises `BrokerUnavailable`.
    """
    admin = _admin(bootstrap_servers)  # held until the future is done, else nothing is created
    topic = NewTopic(name, num_partitions=partitions, replication_factor=1, config=dict(config))
    try:
        admin.create_topics([topic], operation_timeout=TIMEOUT_SECONDS)[name].result(
            TIMEOUT_SECONDS
        )
    except KafkaException as problem:
        if problem.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise _unavailable("make", name, problem) from problem
    # It is made where the controller says so; brokers hear of it a moment later.
    end_offsets(bootstrap_servers, name)


def topic_exists(bootstrap_servers: str, name: str) -> bool:
    """Whether the broker knows the topic. Raises `BrokerUnavailable`."""
    try:
        topics = _admin(bootstrap_servers).list_topics(timeout=TIMEOUT_SECONDS).topics
    except KafkaException as problem:
        raise _unavailable("look up", name, problem) from problem
    return name in topics


def end_offsets(bootstrap_servers: str, name: str) -> dict[int, int]:
    """Where each partition of a topic ends now. Raises `BrokerUnavailable`.

    Called by the demo. A topic that was just made, or a broker that just started, gets a moment.
    """
    admin = _admin(bootstrap_servers)
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        try:
            return _ends(admin, name)
        except KafkaException as problem:
            settling = problem.args[0].code() in _SETTLING and time.monotonic() < deadline
            if not settling:
                raise _unavailable("look up", name, problem) from problem
            time.sleep(_SETTLING_SECONDS)


def _ends(admin: AdminClient, name: str) -> dict[int, int]:
    topic = admin.list_topics(name, timeout=TIMEOUT_SECONDS).topics[name]
    if topic.error is not None:
        raise KafkaException(topic.error)
    told = admin.list_offsets(
        {TopicPartition(name, number): OffsetSpec.latest() for number in topic.partitions}
    )
    return {at.partition: one.result(TIMEOUT_SECONDS).offset for at, one in told.items()}


def delete_topic(bootstrap_servers: str, name: str) -> None:
    """Delete a topic with all its events. Called by tests. Raises `BrokerUnavailable`."""
    admin = _admin(bootstrap_servers)
    try:
        admin.delete_topics([name], operation_timeout=TIMEOUT_SECONDS)[name].result(TIMEOUT_SECONDS)
    except KafkaException as problem:
        raise _unavailable("delete", name, problem) from problem


def _admin(bootstrap_servers: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 2})


def _unavailable(what: str, name: str, problem: KafkaException) -> BrokerUnavailable:
    code = problem.args[0].name()
    return BrokerUnavailable(f"Kafka did not {what} the topic {name!r}: {code}.")
