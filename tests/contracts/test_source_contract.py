"""What every source promises, run on the memory source and on a real Kafka."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from stream_processor.errors import Rebalanced
from stream_processor.ports import Advance, StartAt
from stream_processor.schema.records import RAW
from stream_processor.sources.limits import BatchLimits
from tests.source_worlds import (
    KafkaWorld,
    MemoryWorld,
    Sent,
    World,
    assigned,
    deadline,
    offsets,
    read,
    rows,
    started,
)


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.stack)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "memory":
        yield MemoryWorld()
        return
    # The events are years old by their timestamps, so retention must be off.
    topic = request.getfixturevalue("topic")(partitions=2, config={"retention.ms": "-1"})
    made = KafkaWorld(request.getfixturevalue("kafka").bootstrap_servers, topic)
    yield made
    made.close()


def numbered(count: int, begin: int = 0) -> list[Sent]:
    return [Sent(b"%d" % number) for number in range(begin, begin + count)]


def test_a_new_assignment_is_announced_before_any_event(world: World) -> None:
    """The engine must claim partitions before it may see an event of theirs."""
    world.send(0, *numbered(3))
    source = world.source()
    check = deadline("the first assignment")
    with suppress(Rebalanced):
        while source.poll().records.num_rows == 0:
            check()
        pytest.fail("events came before the claim")
    assert {(part.topic, part.partition) for part in source.assignment()} == {
        (world.topic, 0),
        (world.topic, 1),
    }


def test_a_batch_has_the_raw_shape_and_every_byte(world: World) -> None:
    """Keys, values, headers and times must reach the tables as they came, nulls included."""
    world.send(
        0,
        Sent(b"\x00\xff", b"", [("a", b"1"), ("a", None), ("b", b"")], 1_700_000_000_123),
        Sent(None, b"k"),
        Sent(b""),
    )
    source = world.source()
    first, second = started(source, 2)
    batches = read(source, {first: 3})
    assert all(batch.records.schema.equals(RAW) for batch in batches)
    for batch in batches:
        batch.records.validate(full=True)
    full, tombstone, empty = rows(batches)
    assert (full["topic"], full["topic_id"], full["partition"]) == (
        first.topic,
        first.topic_id,
        first.partition,
    )
    assert (full["value"], full["key"]) == (b"\x00\xff", b"")
    assert full["headers"] == [
        {"name": "a", "value": b"1"},
        {"name": "a", "value": None},
        {"name": "b", "value": b""},
    ]
    assert full["timestamp"].timestamp() == 1_700_000_000.123
    assert full["timestamp_type"] == 1
    assert (tombstone["value"], tombstone["key"], tombstone["headers"]) == (None, b"k", None)
    assert (empty["value"], empty["key"]) == (b"", None)
    assert batches[0].since == {first: 0, second: 0}


def test_a_start_is_exact(world: World) -> None:
    """The tables alone say where to begin, whatever the group or an earlier start said."""
    world.send(0, *numbered(10))
    source = world.source()
    first, second = assigned(source, 2)
    for begin in (7, 2, 9, 0):
        source.start({first: StartAt(begin), second: StartAt(0)})
        batches = read(source, {first: 10})
        assert batches[0].since[first] == begin
        assert offsets(batches) == list(range(begin, 10))


def test_batches_follow_each_other_without_a_seam(world: World) -> None:
    """An offset between two batches would be lost, one in both would be doubled."""
    world.send(0, *numbered(25))
    world.send(1, *numbered(25))
    source = world.source(BatchLimits(rows_max=10, bytes_max=2**20, age_seconds=0.3))
    parts = started(source, 2)
    batches = read(source, dict.fromkeys(parts, 25))
    assert max(batch.records.num_rows for batch in batches) == 10
    assert offsets(batches, 0) == offsets(batches, 1) == list(range(25))
    for before, after in itertools.pairwise(batches):
        assert before.upto == after.since


def test_held_back_offsets_are_reported_and_not_delivered(world: World) -> None:
    """They are dead letters already: delivering them again would double them."""
    world.send(0, *numbered(6))
    source = world.source(BatchLimits(rows_max=2, bytes_max=2**20, age_seconds=0.3))
    first, second = assigned(source, 2)
    source.start({first: StartAt(1, frozenset({0, 2, 3, 5})), second: StartAt(0)})
    batches = read(source, {first: 6})
    assert offsets(batches) == [1, 4]
    for batch in batches:
        held = batch.held_back.get(first, frozenset())
        assert all(batch.since[first] <= offset < batch.upto[first] for offset in held)
    assert sorted(x for b in batches for x in b.held_back.get(first, ())) == [2, 3, 5]


def test_a_partition_that_is_not_started_stays_silent(world: World) -> None:
    """Events of a partition that was not claimed must not reach a batch."""
    world.send(0, *numbered(3))
    world.send(1, *numbered(3))
    source = world.source()
    first, second = assigned(source, 2)
    source.start({second: StartAt(0)})
    batches = read(source, {second: 3})
    assert {row["partition"] for row in rows(batches)} == {1}
    assert all(first not in batch.upto for batch in batches)
    source.start({})
    assert source.poll().records.num_rows == 0


def test_a_suffix_of_the_topic_id_is_carried(world: World) -> None:
    """After an accepted truncation rows belong to another incarnation, though Kafka knows none."""
    world.send(0, *numbered(2))
    source = world.source()
    first, _second = assigned(source, 2)
    renamed = type(first)(first.topic, f"{first.topic_id}~1", 0)
    source.start({renamed: StartAt(0)})
    batches = read(source, {renamed: 2})
    assert {row["topic_id"] for row in rows(batches)} == {renamed.topic_id}
    source.commit({renamed: Advance(0, 2)})
    assert source.assignment() >= {first}


def test_a_caught_up_source_returns_empty_batches(world: World) -> None:
    """The engine must get its turn on an idle topic, without progress that is none."""
    world.send(0, *numbered(2))
    source = world.source()
    parts = started(source, 2)
    read(source, {parts[0]: 2})
    batch = source.poll()
    assert batch.records.num_rows == 0
    assert batch.since == batch.upto == {parts[0]: 2, parts[1]: 0}


def test_lag_is_known_without_asking(world: World) -> None:
    """The person on call reads lag from here."""
    world.send(0, *numbered(5))
    source = world.source()
    parts = started(source, 2)
    read(source, {parts[0]: 5})
    assert source.ends()[parts[0]] == (5, 5)
    assert source.stuck() == {}


def test_watermarks_and_anchors_cover_every_partition(world: World) -> None:
    """The first start writes an anchor for all partitions, so that nobody's half is "new"."""
    world.send(0, *numbered(4))
    source = world.source()
    parts = assigned(source, 2)
    assert source.watermarks(parts) == {parts[0]: (0, 4), parts[1]: (0, 0)}
    assert source.anchors([world.topic]) == {parts[0]: 0, parts[1]: 0}
    assert source.anchors([]) == {}


def test_committed_offsets_are_what_lag_tools_see(world: World) -> None:
    """Every lag tool reads the group; partitions that never committed are left out."""
    world.send(0, *numbered(4))
    source = world.source()
    first, second = started(source, 2)
    read(source, {first: 4})
    assert source.group_offsets([first, second]) == {}
    source.commit({first: Advance(0, 3)})
    while not (found := source.group_offsets([first, second])):
        source.poll()
    assert found == {first: 3}


def test_an_interrupted_poll_returns_what_it_has(world: World) -> None:
    """A stop must not wait for the age of a batch."""
    source = world.source(BatchLimits(rows_max=10, bytes_max=2**20, age_seconds=0.3))
    started(source, 2)
    patient = world.source(BatchLimits(rows_max=10, bytes_max=2**20, age_seconds=3600))
    source.close()
    while True:
        timer = threading.Timer(0.5, patient.interrupt)
        timer.start()
        try:
            batch = patient.poll()
        except Rebalanced:
            patient.assignment()
            continue
        finally:
            timer.join()
        break
    assert batch.records.num_rows == 0


def test_closing_twice_is_allowed(world: World) -> None:
    """Every way out of the engine closes the source."""
    source = world.source()
    started(source, 2)
    source.close()
    source.close()
    source.commit({})
