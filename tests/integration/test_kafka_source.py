"""The Kafka source on a real Kafka in every state of the world that a broker can bring about."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from stream_processor.config.pipeline import Security
from stream_processor.errors import (
    BrokerUnavailable,
    CredentialsRejected,
    OffsetGap,
    Rebalanced,
    TableRewound,
    TopicMissing,
)
from stream_processor.operations.local_stack import RunningKafka
from stream_processor.ports import Partition, StartAt
from stream_processor.sources.kafka import KafkaSource
from stream_processor.sources.kafka_admin import create_topic, delete_topic
from stream_processor.sources.limits import BatchLimits
from tests.raw_producer import produce_with_header_name
from tests.source_worlds import (
    KafkaWorld,
    Sent,
    assigned,
    deadline,
    offsets,
    read,
    rows,
    started,
)
from tests.stack import Kafka, MakeTopic

pytestmark = pytest.mark.stack

KEPT = {"retention.ms": "-1"}
"""The events of these tests are years old by their timestamps."""


@pytest.fixture
def worlds() -> Iterator[Callable[..., KafkaWorld]]:
    made: list[KafkaWorld] = []

    def make(servers: str, topic: str, group: str | None = None) -> KafkaWorld:
        made.append(KafkaWorld(servers, topic, group))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture
def world(kafka: Kafka, topic: MakeTopic, worlds: Callable[..., KafkaWorld]) -> KafkaWorld:
    return worlds(kafka.bootstrap_servers, topic(partitions=2, config=KEPT))


def numbered(count: int) -> list[Sent]:
    return [Sent(b"%d" % number) for number in range(count)]


def poll_until_raised(source: KafkaSource, check: Callable[[], None]) -> None:
    while True:
        check()
        source.poll()


def keep_alive_until_raised(source: KafkaSource, check: Callable[[], None]) -> None:
    while True:
        check()
        source.keep_alive()


def transaction(world: KafkaWorld, count: int, end: str) -> None:
    """Send this many events to partition 0 in one transaction and commit or abort it."""
    producer = Producer({"bootstrap.servers": world.servers, "transactional.id": uuid.uuid4().hex})
    producer.init_transactions(30)
    producer.begin_transaction()
    for number in range(count):
        producer.produce(world.topic, b"%d" % number, partition=0)
    producer.flush(30)
    getattr(producer, end)(30)


def test_aborted_events_are_holes_and_the_end_is_reached(world: KafkaWorld) -> None:
    """A topic that ends in a marker or in aborted events would show lag for ever otherwise."""
    transaction(world, 3, "commit_transaction")  # offsets 0 to 2, marker at 3
    transaction(world, 2, "abort_transaction")  # offsets 4 and 5, marker at 6
    source = world.source()
    first, _ = started(source, 2)
    batches = read(source, {first: 7})
    assert offsets(batches) == [0, 1, 2]
    assert source.watermarks([first])[first] == (0, 7)
    source.start({first: StartAt(3)})
    (only_markers,) = read(source, {first: 7})
    assert only_markers.records.num_rows == 0
    assert (only_markers.since[first], only_markers.upto[first]) == (3, 7)


def test_an_open_transaction_is_waited_for(world: KafkaWorld) -> None:
    """Events that may still be aborted are neither delivered nor passed."""
    world.send(0, Sent(b"before"))
    producer = Producer({"bootstrap.servers": world.servers, "transactional.id": uuid.uuid4().hex})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(world.topic, b"open", partition=0)
    producer.flush(30)
    source = world.source()
    first, _ = started(source, 2)
    assert offsets(read(source, {first: 1})) == [0]
    assert source.poll().upto[first] == 1
    assert source.watermarks([first])[first] == (0, 1)
    producer.commit_transaction(30)
    assert offsets(read(source, {first: 3})) == [1]


def test_compaction_leaves_holes_and_nothing_else(
    own_kafka: Callable[..., RunningKafka], worlds: Callable[..., KafkaWorld]
) -> None:
    """A missing offset in a compacted topic is no loss, and nothing may wait for it."""
    servers = own_kafka(log_cleaner_backoff_ms="200").bootstrap_servers
    config = {
        "cleanup.policy": "compact",
        "min.cleanable.dirty.ratio": "0.001",
        "segment.ms": "300",
        "max.compaction.lag.ms": "300",
    }
    create_topic(servers, "compacted", 1, config)
    world = worlds(servers, "compacted")
    now = int(time.time() * 1000)
    world.send(0, *[Sent(b"%d" % n, key=b"k%d" % (n % 3), timestamp_ms=now) for n in range(50)])
    source = world.source()
    check = deadline("compaction")
    while True:
        check()
        # Only a closed segment is compacted, and it is closed by a later event.
        world.send(0, Sent(b"tick", key=b"tick", timestamp_ms=int(time.time() * 1000)))
        (part,) = started(source, 1)
        end = source.watermarks([part])[part][1]
        batches = read(source, {part: end})
        if len(seen := offsets(batches)) < end:
            break
    assert seen == sorted(set(seen))
    assert batches[-1].upto[part] == end


def test_events_below_retention_are_a_gap(world: KafkaWorld) -> None:
    """What Kafka has deleted for ever must stop the stream, not be jumped over."""
    world.send(0, *numbered(10))
    delete_records(world, 6)
    source = world.source()
    first, second = assigned(source, 2)
    source.start({first: StartAt(2), second: StartAt(0)})
    with pytest.raises(OffsetGap, match=r"offset 2.*still holds is 6.*4 offsets") as caught:
        read(source, {first: 10})
    assert "--accept-gap" in caught.value.hint
    with pytest.raises(OffsetGap):
        source.poll()


def test_an_accepted_gap_is_reported(world: KafkaWorld) -> None:
    """The proof needs the range that a person gave up, in the batch that passes it."""
    world.send(0, *numbered(10))
    delete_records(world, 6)
    source = world.source(settings=world.settings(accept_gap=True))
    first, second = assigned(source, 2)
    source.start({first: StartAt(2), second: StartAt(0)})
    batches = read(source, {first: 10})
    assert offsets(batches) == [6, 7, 8, 9]
    assert [batch.gaps for batch in batches if batch.gaps] == [{first: ((2, 6),)}]
    assert batches[0].since[first] == 2


def delete_records(world: KafkaWorld, before: int) -> None:
    admin = AdminClient({"bootstrap.servers": world.servers})
    for future in admin.delete_records([TopicPartition(world.topic, 0, before)]).values():
        future.result(30)


def test_an_offset_above_the_end_is_a_truncation(world: KafkaWorld) -> None:
    """After an unclean election new events would reuse offsets that the table holds already."""
    world.send(0, *numbered(5))
    source = world.source()
    first, second = assigned(source, 2)
    source.start({first: StartAt(9), second: StartAt(0)})
    with pytest.raises(TableRewound, match=r"offset 9.*ends at 5"):
        read(source, {first: 10})


def test_a_topic_created_again_is_never_read_under_its_old_id(world: KafkaWorld) -> None:
    """Its events have the same offsets: they would be taken for old ones, or mixed with them."""
    world.send(0, *[Sent(b"old")] * 5)
    source = world.source(BatchLimits(rows_max=1000, bytes_max=2**20, age_seconds=0.2))
    old, _ = started(source, 2)
    read(source, {old: 5})
    delete_topic(world.servers, world.topic)
    create_again(world)
    world.send(0, *[Sent(b"new")] * 20)
    check = deadline("the new id")
    seen: list[object] = []
    while True:
        check()
        try:
            seen += [row["value"] for row in rows([source.poll()])]
        except (Rebalanced, TopicMissing):
            try:
                ids = {part.topic_id for part in source.assignment()}
            except TopicMissing:
                continue
            if ids and ids != {old.topic_id}:
                break
    assert seen == []
    new, _ = started(source, 2)
    assert new.topic_id != old.topic_id
    assert {row["value"] for row in rows(read(source, {new: 20}))} == {b"new"}


def create_again(world: KafkaWorld) -> None:
    """Deletion ends a moment after it is confirmed; the old topic is still in the way till then."""
    admin = AdminClient({"bootstrap.servers": world.servers})
    check = deadline("the deletion")
    while world.topic in admin.list_topics(timeout=30).topics:
        check()
    create_topic(world.servers, world.topic, 2, KEPT)


def test_a_missing_topic_is_said_and_waited_for(
    kafka: Kafka, worlds: Callable[..., KafkaWorld]
) -> None:
    """The topic may be created later; until then a person must see why nothing happens."""
    world = worlds(kafka.bootstrap_servers, f"missing-{uuid.uuid4().hex[:8]}")
    quick = {"topic.metadata.refresh.interval.ms": "500"}
    source = world.source(settings=world.settings(properties=quick))
    for _ in range(2):
        with pytest.raises(TopicMissing, match=world.topic):
            source.poll()
    create_topic(world.servers, world.topic, 1, KEPT)
    world.send(0, *numbered(3))
    check = deadline("the topic")
    while not source.assignment():
        check()
        try:
            source.poll()
        except (Rebalanced, TopicMissing):
            continue
    (part,) = started(source, 1)
    assert offsets(read(source, {part: 3})) == [0, 1, 2]


def test_a_pattern_finds_topics_that_come_later(
    kafka: Kafka, worlds: Callable[..., KafkaWorld]
) -> None:
    """Teams add topics without telling the pipeline."""
    stem = f"shop-{uuid.uuid4().hex[:8]}"
    world = worlds(kafka.bootstrap_servers, f"{stem}.a")
    create_topic(world.servers, f"{stem}.a", 1, KEPT)
    settings = world.settings(
        topics=(),
        topics_regex=f"^{stem}[.].*",
        properties={"topic.metadata.refresh.interval.ms": "500"},
    )
    source = world.source(settings=settings)
    started(source, 1)
    create_topic(world.servers, f"{stem}.b", 1, KEPT)
    later = worlds(kafka.bootstrap_servers, f"{stem}.b")
    later.send(0, *numbered(2))
    a, b = started(source, 2)
    batches = read(source, {b: 2})
    assert {(row["topic"], row["offset"]) for row in rows(batches)} == {(b.topic, 0), (b.topic, 1)}
    assert a.topic == f"{stem}.a"


def test_a_second_member_takes_over_half(world: KafkaWorld) -> None:
    """Scaling out: the first one's hook runs before its partition is another's, and each event is
    delivered by exactly the member that owns it."""
    for partition in range(2):
        world.send(partition, *numbered(100))
    revoked: list[float] = []
    one = world.source(on_revoke=lambda: revoked.append(time.monotonic()))
    started(one, 2)
    two = world.source()
    with ThreadPoolExecutor(1) as other:
        ours = other.submit(assigned, two, 1)
        (mine,) = assigned(one, 1)
        (theirs,) = ours.result(60)
    assert {mine.partition, theirs.partition} == {0, 1}
    assert len(revoked) == 1
    for source, part in ((one, mine), (two, theirs)):
        source.start({part: StartAt(0)})
        assert offsets(read(source, {part: 100}), part.partition) == list(range(100))
    two.close()
    assert len(assigned(one, 2)) == 2


def test_starting_what_was_lost_meanwhile_is_refused(world: KafkaWorld) -> None:
    """A claim takes time, and the group does not wait for it."""
    source = world.source()
    first, second = assigned(source, 2)
    other = Partition(first.topic, "another-topic-id", 0)
    stranger = Partition(first.topic, first.topic_id, 7)
    for part in (other, stranger):
        with pytest.raises(Rebalanced):
            source.start({part: StartAt(0), second: StartAt(0)})
        assert source.poll().upto == {}


def test_restarts_at_random_places_never_make_a_hole(world: KafkaWorld) -> None:
    """Events that the client fetched ahead for an earlier start must not leak into the next one:
    an offset above the place of the start would turn everything between into a hole."""
    for partition in range(2):
        world.send(partition, *numbered(3000))
    source = world.source(BatchLimits(rows_max=400, bytes_max=2**20, age_seconds=0.05))
    parts = assigned(source, 2)
    dice = random.Random(7)
    for _ in range(60):
        begins = {part: dice.randrange(2900) for part in parts}
        source.start({part: StartAt(offset) for part, offset in begins.items()})
        batches = [source.poll() for _ in range(dice.randrange(4))]
        for part, begin in begins.items():
            seen = offsets(batches, part.partition)
            assert seen == list(range(begin, begin + len(seen)))


def test_keeping_alive_loses_nothing_and_lets_others_in(world: KafkaWorld) -> None:
    """While a slow commit runs the group must be served; what arrives then comes with a later
    poll, and a member that joins meanwhile does not wait for the commit's end."""
    for partition in range(2):
        world.send(partition, *numbered(5000))
    source = world.source(BatchLimits(rows_max=4000, bytes_max=2**20, age_seconds=0.3))
    parts = started(source, 2)
    until = time.monotonic() + 4
    while time.monotonic() < until:
        source.keep_alive()
    batches = read(source, dict.fromkeys(parts, 5000))
    assert offsets(batches, 0) == offsets(batches, 1) == list(range(5000))
    started(source, 2)
    newcomer = world.source()
    with ThreadPoolExecutor(1) as other:
        ours = other.submit(assigned, newcomer, 1)
        check = deadline("the newcomer")
        with pytest.raises(Rebalanced):
            keep_alive_until_raised(source, check)
        assert len(assigned(source, 1)) == len(ours.result(60)) == 1


def test_a_batch_that_unpacks_to_more_than_the_budget_silences_its_partition_only(
    world: KafkaWorld,
) -> None:
    """A few kilobytes can unpack to gigabytes; one such batch must not stop the other partitions,
    nor be jumped over."""
    world.send(0, Sent(b"before"))
    bomb = Producer(
        {
            "bootstrap.servers": world.servers,
            "compression.type": "zstd",
            "message.max.bytes": 50_000_000,
        }
    )
    bomb.produce(world.topic, bytes(30_000_000), partition=0)
    assert bomb.flush(30) == 0
    world.send(0, Sent(b"behind"))
    world.send(1, *numbered(3))
    source = world.source(settings=world.settings(memory_bytes=4 * 2**20))
    first, second = started(source, 2)
    check = deadline("the partition to be given up")
    batches = []
    while not source.stuck():
        check()
        batches.append(source.poll())
    batches += read(source, {second: 3})
    assert offsets(batches, 0) == [0]
    assert list(source.stuck()) == [first]
    assert "offset 1 cannot be read" in source.stuck()[first]
    world.send(1, Sent(b"goes on"))
    assert offsets(read(source, {second: 4}), 1) == [3]
    roomy = worlds_with_room(world)
    assert [row["value"] for row in rows(roomy) if row["partition"] == 0][-1] == b"behind"
    source.close()


def test_a_record_larger_than_the_client_may_receive_silences_its_partition_only(
    kafka: Kafka, topic: MakeTopic, worlds: Callable[..., KafkaWorld]
) -> None:
    """It ends the connection to its broker, again and again, and the client names no partition:
    without a search every partition of that broker would stand still for ever."""
    name = topic(3, {**KEPT, "max.message.bytes": "20000000"})
    world = worlds(kafka.bootstrap_servers, name)
    world.send(0, Sent(b"before"))
    large = Producer({"bootstrap.servers": world.servers, "message.max.bytes": 20_000_000})
    large.produce(name, bytes(6_000_000), partition=0)
    assert large.flush(30) == 0
    world.send(1, *numbered(3))
    source = world.source(settings=world.settings(memory_bytes=4 * 2**20))
    first, second, third = started(source, 3)
    check = deadline("the partition to be given up")
    batches = []
    while not source.stuck():
        check()
        batches.append(source.poll())
    world.send(1, Sent(b"goes on"))
    world.send(2, Sent(b"too"))
    batches += read(source, {second: 4, third: 1})
    assert offsets(batches, 0) == [0]
    assert list(source.stuck()) == [first]
    assert "receive.message.max.bytes" in source.stuck()[first]
    roomy = worlds(world.servers, name, uuid.uuid4().hex)
    again = roomy.source(settings=roomy.settings(memory_bytes=20 * 2**20))
    started(again, 3)
    assert offsets(read(again, {first: 2}), 0) == [0, 1]


def worlds_with_room(world: KafkaWorld) -> list[object]:
    """The same topic, read by another group with enough memory."""
    other = KafkaWorld(world.servers, world.topic, group=uuid.uuid4().hex)
    source = other.source(settings=other.settings(memory_bytes=200 * 2**20))
    first, _ = started(source, 2)
    batches = read(source, {first: 3})
    other.close()
    return batches


def test_a_damaged_batch_is_not_jumped_over_and_is_read_once_it_is_whole_again(
    own_kafka: Callable[..., RunningKafka], worlds: Callable[..., KafkaWorld]
) -> None:
    """The client reports a wrong checksum and goes on behind it: taking what follows would lose the
    damaged events for good, though another replica may still hold them and take over later."""
    kafka = own_kafka()
    create_topic(kafka.bootstrap_servers, "damaged", 1, KEPT)
    world = worlds(kafka.bootstrap_servers, "damaged")
    for name in (b"first-batch", b"middle-batch", b"last-batch"):
        world.send(0, Sent(name))
    damage(kafka.data_dir, b"middle-batch")
    source = world.source(settings=world.settings(stuck_retry_seconds=0.5))
    (part,) = started(source, 1)
    check = deadline("the partition to be given up")
    batches = []
    while not source.stuck():
        check()
        batches.append(source.poll())
    batches += [source.poll() for _ in range(3)]
    assert [row["value"] for row in rows(batches)] == [b"first-batch"]
    assert batches[-1].upto[part] == 1
    assert "_BAD_MSG" in source.stuck()[part]
    damage(kafka.data_dir, b"middle-batch", undo=1)
    batches += read(source, {part: 3})
    assert [row["value"] for row in rows(batches)][1:] == [b"middle-batch", b"last-batch"]
    assert source.stuck() == {}


def damage(data_dir: Path, payload: bytes, undo: int = 0) -> None:
    """Flip the last bit of a payload's first byte in the broker's log file; `undo=1`: back."""
    payload = bytes([payload[0] ^ undo]) + payload[1:]
    for log in data_dir.rglob("*.log"):
        content = bytearray(log.read_bytes())
        at = content.find(payload)
        if at >= 0:
            with log.open("r+b") as file:
                file.seek(at)
                file.write(bytes([content[at] ^ 1]))
            return
    pytest.fail("the payload is in no log file")


def test_a_short_silence_of_kafka_is_silent_and_a_long_one_is_not(
    own_kafka: Callable[..., RunningKafka], worlds: Callable[..., KafkaWorld]
) -> None:
    """A broker that restarts is everyday life; one that stays away must be said, and nothing is
    lost either way."""
    kafka = own_kafka()
    port = int(kafka.bootstrap_servers.rpartition(":")[2])
    create_topic(kafka.bootstrap_servers, "orders", 1, KEPT)
    world = worlds(kafka.bootstrap_servers, "orders")
    world.send(0, *numbered(3))
    source = world.source(
        settings=world.settings(
            contact_seconds=3.0,
            request_seconds=1.0,
            properties={"reconnect.backoff.max.ms": "500"},
        )
    )
    (part,) = started(source, 1)
    read(source, {part: 3})
    kafka.stop()
    assert source.poll().records.num_rows == 0
    with pytest.raises(BrokerUnavailable):
        poll_until_raised(source, deadline("the sentence"))
    own_kafka(data_dir=kafka.data_dir, port=port)
    world.send(0, *numbered(2))
    assert eventually_read(source, part, 5) == [3, 4]
    assert len(world.notes.named("kafka_client")) < 40


def eventually_read(source: KafkaSource, part: Partition, upto: int) -> list[object]:
    """Read on as the engine does: whatever is raised, claim and start at the table's place."""
    position, seen, claimed = 3, [], False
    check = deadline("Kafka to come back")
    while position < upto:
        check()
        try:
            if not claimed:
                source.start({part: StartAt(position) for part in source.assignment()})
                claimed = True
            batch = source.poll()
        except (BrokerUnavailable, Rebalanced):
            claimed = False
            continue
        if part in batch.upto:
            seen += offsets([batch])
            position = batch.upto[part]
    return seen


def test_the_start_policy_becomes_numbers(world: KafkaWorld) -> None:
    """An anchor is written down once; `latest` and a time must mean the same on every partition."""
    world.send(0, *[Sent(b"x", timestamp_ms=1_700_000_000_000 + n * 1000) for n in range(5)])
    expected = {
        "earliest": (0, 0),
        "latest": (5, 0),
        "2023-11-14T22:13:22Z": (2, 0),  # 1,700,000,002 seconds
        "2026-01-01t00:00:00+00:00": (5, 0),
    }
    for policy, (first, second) in expected.items():
        source = world.source(settings=world.settings(start=policy))
        found = source.anchors([world.topic])
        assert {part.partition: offset for part, offset in found.items()} == {0: first, 1: second}
        source.close()


def test_a_header_name_that_is_no_text_costs_the_headers_only(world: KafkaWorld) -> None:
    """The client cannot show such a name; the event itself must not be lost for it."""
    produce_with_header_name(world.servers, world.topic, b"odd", b"\xff\xfe")
    produce_with_header_name(world.servers, world.topic, b"plain", b"name")
    source = world.source()
    first, _ = started(source, 2)
    odd, plain = rows(read(source, {first: 2}))
    assert (odd["value"], odd["headers"]) == (b"odd", None)
    assert plain["headers"] == [{"name": "name", "value": b"1"}]
    assert world.notes.named("kafka_headers_unreadable") == [{"count": 1}]


def test_checking_at_the_start_says_what_is_wrong(world: KafkaWorld) -> None:
    """A wrong address or topic must be one sentence at start-up, not silence."""
    world.source().check()
    gone = world.source(settings=world.settings(topics=("no-such-topic",)))
    with pytest.raises(TopicMissing, match="no-such-topic"):
        gone.check()
    nobody = world.settings(bootstrap_servers="127.0.0.1:1", request_seconds=1.0)
    with pytest.raises(BrokerUnavailable):
        world.source(settings=nobody).check()


def test_a_wrong_password_is_said_and_a_right_one_reads(
    own_kafka: Callable[..., RunningKafka], worlds: Callable[..., KafkaWorld]
) -> None:
    """Only a person can mend it, so it must be named at the start and while running, and the
    sentence must not hold the password."""
    login = (
        "org.apache.kafka.common.security.plain.PlainLoginModule required "
        'username="reader" password="right-one" user_reader="right-one";'
    )
    kafka = own_kafka(
        listener_security_protocol_map="PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
        inter_broker_listener_name="PLAINTEXT",
        sasl_enabled_mechanisms="PLAIN",
        sasl_mechanism_inter_broker_protocol="PLAIN",
        listener_name_plaintext_plain_sasl_jaas_config=login,
    )
    allowed = {
        "bootstrap.servers": kafka.bootstrap_servers,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "reader",
        "sasl.password": "right-one",
    }
    admin = AdminClient(allowed)
    admin.create_topics([NewTopic("guarded", 1, 1)])["guarded"].result(30)
    producer = Producer(allowed)
    producer.produce("guarded", b"event")
    assert producer.flush(30) == 0
    world = worlds(kafka.bootstrap_servers, "guarded")

    def logged_in(password: str) -> KafkaSource:
        security = Security(
            protocol="SASL_PLAINTEXT", mechanism="PLAIN", username="reader", password=password
        )
        return world.source(settings=world.settings(security=security, request_seconds=3.0))

    stranger = logged_in("wrong-one")
    for rejected in (stranger.check, stranger.poll):
        with pytest.raises(CredentialsRejected) as caught:
            rejected()
        assert "wrong-one" not in caught.value.message + str(world.notes.events)
    reader = logged_in("right-one")
    reader.check()
    (part,) = started(reader, 1)
    assert offsets(read(reader, {part: 1})) == [0]
