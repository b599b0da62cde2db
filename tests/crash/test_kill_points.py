"""A crash at every named step, then a restart with other batch boundaries and another schema.

In memory, so that every combination is tried; the same on real Kafka and MinIO, with kill -9, is in
tests/integration. After each: every offset is in exactly one place, and the proof adds up.
"""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_processor.config.fields import SchemaFile
from stream_processor.errors import OwnershipChanged
from stream_processor.ports import Decisions, KillPoint, Partition, never
from stream_processor.processor.plan import Plan, PlanOptions, Stamp, make_plan
from stream_processor.runtime.embedded import run_cycle
from stream_processor.runtime.ownership import Terms, take_over
from stream_processor.schema import records
from stream_processor.schema.compile import compile_schema
from stream_processor.sinks.memory import MemoryDeadLetters, MemorySink, MemoryTable
from stream_processor.sources.limits import BatchLimits
from stream_processor.sources.memory import (
    CRASH,
    END,
    REBALANCE,
    Crash,
    Ends,
    Event,
    MemoryLog,
    MemorySource,
    Step,
)
from tests.kill_points import Died, dies_at

P0 = Partition("orders", "topic-id-1", 0)
P1 = Partition("orders", "topic-id-1", 1)
TERMS = Terms(Decisions(), by_pattern=False)

STEPS = [
    f"{table}.{moment}"
    for table in ("data", "dead_letters")
    for moment in ("before_claim", "after_claim", "before_commit", "after_commit")
] + ["data.rechecked", "never"]


def plan(amount: str) -> Plan:
    """Orders whose `amount` has the given type, so that two schemas disagree about events."""
    fields = [
        {"name": "id", "type": "long", "required": True},
        {"name": "amount", "type": amount, "required": True},
    ]
    file = SchemaFile.model_validate({"version": 1, "name": "orders", "fields": fields})
    return make_plan(compile_schema(file), PlanOptions(pipeline_id="pipe", tombstone="skip"))


OLD, NEW = plan("long"), plan("string")


def value(n: int) -> bytes | None:
    """Good for both schemas, good for one of them, broken for both, or a tombstone."""
    kind = n % 5
    if kind == 4:
        return None
    if kind == 3:
        return b"{broken"
    return json.dumps({"id": n, "amount": n if kind < 2 else f"{n} EUR"}).encode()


def script() -> list[Step]:
    """Two partitions, one with a hole in the middle and markers at its end."""
    steps: list[Step] = []
    for n in range(30):
        steps.append(Event(P0, n, value(n)))
        if n not in (11, 12, 13):
            steps.append(Event(P1, n, value(n + 2)))
        if n % 6 == 5:
            steps.append(END)
    return [*steps, Ends(P1, 33)]


class World:
    """What survives a crash: the log and both tables."""

    def __init__(self, steps: list[Step]) -> None:
        self.log = MemoryLog.of(steps)
        self.data = MemoryTable()
        self.letters = MemoryTable()

    def run(self, rules: Plan, rows_max: int, kill_point: KillPoint = never) -> bool:
        """One life of a process, to the end of the log or to its death; True when it got there."""
        source = MemorySource(self.log, BatchLimits(rows_max, 2**20, 1.0))
        sink = MemorySink(self.data, kill_point=kill_point)
        letters = MemoryDeadLetters(self.letters, kill_point=kill_point)
        ends = {p: self.log.watermarks(p)[1] for p in self.log.partitions}
        try:
            while True:
                try:
                    take_over(source, sink, letters, TERMS)
                    while any(self.data.positions()[p].next_offset < ends[p] for p in ends):
                        run_cycle(source, rules, sink, letters, Stamp.at(0))
                except OwnershipChanged:
                    continue
                return True
        except (Died, Crash):
            return False

    def audit(self) -> None:
        """Every event is in exactly one place, and the counters explain every other offset."""
        rows = Counter(
            (row[records.KAFKA_PARTITION], row[records.KAFKA_OFFSET]) for row in self.data.rows()
        )
        letters = Counter((row["partition"], row["offset"]) for row in self.letters.rows())
        assert not [place for place, n in (rows + letters).items() if n > 1]
        delivered = {
            (step.partition.partition, step.offset): step.value
            for step in self.log.script
            if isinstance(step, Event)
        }
        missing = delivered.keys() - rows.keys() - letters.keys()
        assert all(delivered[place] is None for place in missing)
        for partition, at in self.data.positions().items():
            number = partition.partition
            held = sum(1 for place in (rows + letters) if place[0] == number)
            assert at.next_offset - at.start == held + at.holes + at.skipped + at.expired
            assert at.skipped == sum(1 for place in missing if place[0] == number)


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("first", "second"), [(7, 4), (100, 3), (3, 100)])
def test_a_crash_at_any_step_loses_and_doubles_nothing(
    step: str, count: int, first: int, second: int
) -> None:
    """The restart cuts other batches and judges by another schema; membership must decide."""
    world = World(script())
    world.run(OLD, first, dies_at(step, count))
    assert world.run(NEW, second)
    world.audit()


@given(
    lives=st.lists(
        st.tuples(
            st.sampled_from(STEPS), st.integers(1, 6), st.integers(1, 20), st.sampled_from([0, 1])
        ),
        max_size=6,
    ),
    marks=st.lists(st.tuples(st.integers(0, 60), st.sampled_from([CRASH, REBALANCE, END]))),
)
def test_any_history_of_crashes_ends_in_the_same_law(
    lives: list[tuple[str, int, int, int]], marks: list[tuple[int, Step]]
) -> None:
    """Crashes, rebalances and schema changes in any order must not add up to a loss."""
    steps = script()
    for index, mark in marks:
        steps.insert(index, mark)
    world = World(steps)
    for step, count, rows_max, rules in lives:
        world.run([OLD, NEW][rules], rows_max, dies_at(step, count))
    while not world.run(NEW, 9):
        pass
    world.audit()


def test_without_membership_the_law_breaks() -> None:
    """The test itself must be able to fail: a restart that forgets what waits doubles events."""

    class Forgetful(MemoryDeadLetters):
        def held_offsets(self, since: object) -> dict[Partition, frozenset[int]]:
            return {}

    world = World(script())
    world.run(OLD, 7, dies_at("dead_letters.after_commit", 1))
    source = MemorySource(world.log, BatchLimits(100, 2**20, 1.0))
    sink, letters = MemorySink(world.data), Forgetful(world.letters)
    take_over(source, sink, letters, TERMS)
    while world.data.positions()[P1].next_offset < 33:
        run_cycle(source, NEW, sink, letters, Stamp.at(0))
    with pytest.raises(AssertionError):
        world.audit()
