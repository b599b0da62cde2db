"""A true hole and a lost event look the same in the tables; only Kafka itself can tell."""

from __future__ import annotations

from itertools import islice

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from stream_processor.errors import BrokerUnavailable
from stream_processor.ports import Partition
from stream_processor.runtime.clock import SystemClock
from stream_processor.sources.kafka_holes import KafkaHoles
from stream_processor.sources.kafka_settings import KafkaSettings
from tests.source_worlds import KafkaWorld, Notes, Sent

pytestmark = pytest.mark.stack


@pytest.fixture
def world(kafka, topic):
    made = KafkaWorld(kafka.bootstrap_servers, topic(partitions=2))
    yield made
    made.close()


def holes_of(settings: KafkaSettings) -> KafkaHoles:
    return KafkaHoles(settings, Notes(), SystemClock())


def partition_of(world: KafkaWorld, number: int = 0) -> Partition:
    found = KafkaHoles(world.settings(), Notes(), SystemClock())._topics.describe([world.topic])
    return Partition(world.topic, found[world.topic].topic_id, number)


def transactions(world: KafkaWorld) -> None:
    """Offsets 0-2 committed, 3 its marker, 4-5 aborted, 6 its marker, 7 committed, 8 its marker."""
    producer = Producer(
        {"bootstrap.servers": world.servers, "transactional.id": f"tx-{world.topic}"}
    )
    producer.init_transactions(30)
    for count, commit in ((3, True), (2, False), (1, True)):
        producer.begin_transaction()
        for _ in range(count):
            producer.produce(world.topic, b"{}", partition=0)
        producer.flush(30)
        if commit:
            producer.commit_transaction(30)
        else:
            producer.abort_transaction(30)


def test_markers_and_aborted_events_are_true_holes(world):
    """Else every transactional topic would be full of findings."""
    transactions(world)
    holes, part = holes_of(world.settings()), partition_of(world)
    assert holes.readable(part) == (0, 9)
    assert list(holes.existing(part, [(0, 9)])) == [0, 1, 2, 7]
    assert list(holes.existing(part, [(3, 7), (8, 9)])) == []
    assert list(holes.existing(part, [(1, 2), (2, 4), (6, 8)])) == [1, 2, 7]


def test_ranges_far_apart_are_read_by_seeking(world):
    """A few holes in a large topic must not cost reading all of it."""
    world.send(0, *[Sent(b"{}")] * 30_000)
    holes, part = holes_of(world.settings()), partition_of(world)
    asked = [(5, 7), (9, 10), (12_000, 12_002), (29_999, 30_000)]
    assert list(holes.existing(part, asked)) == [5, 6, 9, 12_000, 12_001, 29_999]
    assert list(islice(holes.existing(part, [(0, 30_000)]), 3)) == [0, 1, 2]


def test_what_retention_took_cannot_be_asked_for(world):
    """It is counted as unchecked, not as fine."""
    world.send(0, *[Sent(b"{}")] * 10)
    admin = AdminClient({"bootstrap.servers": world.servers})
    [done] = admin.delete_records([TopicPartition(world.topic, 0, 4)]).values()
    done.result(30)
    assert holes_of(world.settings()).readable(partition_of(world)) == (4, 10)


def test_a_topic_that_is_gone_or_another_cannot_be_asked(world):
    """Its offsets are other events, or none."""
    holes = holes_of(world.settings())
    assert holes.readable(Partition(world.topic, "AAAAAAAAAAAAAAAAAAAAAA", 0)) is None
    assert holes.readable(Partition("no-such-topic", "AAAAAAAAAAAAAAAAAAAAAA", 0)) is None
    assert holes.readable(partition_of(world, 7)) is None


def test_ends_are_those_of_a_read_committed_reader(world):
    """Lag in `status` must reach 0 on a topic that ends in a marker."""
    transactions(world)
    world.send(1, Sent(b"{}"))
    parts = [partition_of(world, number) for number in (0, 1, 9)]
    assert holes_of(world.settings()).ends(parts) == {parts[0]: 9, parts[1]: 1}


def test_a_silent_kafka_is_an_outage(world):
    """Not a clean bill of health."""
    lost = world.settings(bootstrap_servers="127.0.0.1:9", contact_seconds=1.0, request_seconds=1.0)
    with pytest.raises(BrokerUnavailable):
        holes_of(lost).readable(Partition(world.topic, "x", 0))
    with pytest.raises(BrokerUnavailable, match="sends nothing"):
        list(holes_of(lost).existing(Partition(world.topic, "x", 0), [(0, 1)]))
