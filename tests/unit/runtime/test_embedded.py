"""The engine's loop, on sources and tables in memory."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pytest

from stream_processor.errors import CommitHung, PartitionUnreadable, StoreUnavailable
from stream_processor.ports import Batch, Decisions, Offsets, Partition, nothing
from stream_processor.runtime.clock import SystemClock
from stream_processor.runtime.embedded import Engine, Parts
from stream_processor.runtime.goal import SPARE_SECONDS, Goal
from stream_processor.runtime.ownership import Terms
from stream_processor.runtime.retry import Backoff, Retry
from stream_processor.runtime.writer import Writer
from stream_processor.sinks.memory import MemoryDeadLetters, MemorySink, MemoryTable
from stream_processor.sources.limits import BatchLimits
from stream_processor.sources.memory import END, REBALANCE, Event, MemoryLog, MemorySource, Step
from tests import builders
from tests.contracts.sink_adapters import P0
from tests.source_worlds import Notes

P1 = Partition("orders", P0.topic_id, 1)
PATIENCE_SECONDS = 30


@dataclass
class Heard(Notes):
    """Also remembers states and what became durable."""

    states: list[tuple[str, str]] = field(default_factory=list)
    durable: list[Offsets] = field(default_factory=list)

    def state(self, state: str, reason: str = "") -> None:
        self.states.append((state, reason))

    def settled(self, upto: Offsets, dead_by_code: Mapping[tuple[str, str], int]) -> None:
        self.durable.append(upto)


class SlowSource(MemorySource):
    """Its second batch is not complete before `enough` says so, like one of a quiet topic."""

    enough: Callable[[], bool]
    polls = 0

    def poll(self, between: Callable[[], None] = nothing) -> Batch:
        self.polls += 1
        until = time.monotonic() + PATIENCE_SECONDS
        while self.polls == 2 and not self.enough():
            between()
            assert time.monotonic() < until, "the commit in flight was not noticed"
            time.sleep(0.001)  # the loop of a source that waits
        return super().poll(between)


class FailsOnce(MemorySink):
    """The store is away for one commit."""

    failed = False

    def write(self, rows: pa.RecordBatch, upto: Offsets) -> None:
        if not self.failed:
            self.failed = True
            raise StoreUnavailable("away")
        super().write(rows, upto)


class World:
    """An engine and all that it drives."""

    def __init__(
        self,
        source: MemorySource,
        goal: Goal,
        sink: MemorySink | None = None,
        hung_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self.heard = Heard()
        self.stop = threading.Event()
        self.table = MemoryTable()
        if sink is not None:
            self.table = sink.table
        clock = SystemClock()
        dice = random.Random(1)
        self.engine = Engine(
            Parts(
                source,
                builders.plan(),
                sink or MemorySink(self.table),
                MemoryDeadLetters(MemoryTable()),
                Terms(Decisions(), by_pattern=False),
            ),
            self.heard,
            clock,
            Retry(Backoff(first_seconds=0.01, floor_seconds=0.001), clock, dice, self.stop),
            self.stop,
            goal,
            writer=Writer(hung_seconds),
        )


def events(*parts: Partition, count: int = 4) -> list[Step]:
    value = b'{"order_id":"1","amount":1,"created_at":"2026-11-23T10:00:00Z"}'
    return [Event(part, offset, value) for part in parts for offset in range(count)]


def test_a_failed_commit_is_noticed_while_the_next_batch_is_still_being_filled() -> None:
    """With a commit every ten minutes an outage would else be known ten minutes late."""
    source = SlowSource(MemoryLog.of(events(P0)), BatchLimits(2, 2**20, 1))
    source.enough = lambda: False
    world = World(source, Goal(until_latest=True), FailsOnce(MemoryTable()))
    world.engine.run()
    assert [fields["kind"] for fields in world.heard.named("commit_failed")] == ["StoreUnavailable"]
    assert [row["_kafka_offset"] for row in world.table.rows()] == [0, 1, 2, 3]


def test_a_landed_commit_is_told_while_the_next_batch_is_still_being_filled() -> None:
    """Lag and the time of the last commit would else look old for a whole batch."""
    source = SlowSource(MemoryLog.of(events(P0)), BatchLimits(2, 2**20, 1))
    world = World(source, Goal(until_latest=True))
    source.enough = lambda: bool(world.heard.durable)
    world.engine.run()
    assert [row["_kafka_offset"] for row in world.table.rows()] == [0, 1, 2, 3]


class Hangs(MemorySink):
    """The disk below the table does not answer."""

    def write(self, rows: pa.RecordBatch, upto: Offsets) -> None:
        threading.Event().wait()


def test_a_commit_that_hangs_ends_the_run() -> None:
    """It cannot be called back, and beside it nothing may be written: only a restart is safe."""
    source = MemorySource(MemoryLog.of(events(P0)))
    world = World(source, Goal(), Hangs(MemoryTable()), hung_seconds=0.2)
    with pytest.raises(CommitHung, match="has not ended within") as caught:
        world.engine.run()
    assert caught.value.exit_code == 1
    assert source.closed


def test_a_commit_that_hangs_does_not_keep_a_rebalance_waiting_for_ever() -> None:
    """The batch must be forgotten before anything else happens, and it never can be."""
    source = MemorySource(MemoryLog.of([*events(P0), END, REBALANCE]))
    world = World(source, Goal(), Hangs(MemoryTable()), hung_seconds=0.2)
    with pytest.raises(CommitHung):
        world.engine.run()


def test_a_process_with_a_commit_that_hangs_can_end() -> None:
    """A thread that waits for its own end would keep the container up, not ready, for ever."""
    code = (
        "from tests.unit.runtime.test_embedded import *\n"
        "source = MemorySource(MemoryLog.of(events(P0)))\n"
        "world = World(source, Goal(), Hangs(MemoryTable()), hung_seconds=0.2)\n"
        "world.engine.run()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], timeout=PATIENCE_SECONDS, capture_output=True, check=False
    )
    assert ended.returncode == 1
    assert b"CommitHung" in ended.stderr


class Unreadable(MemorySource):
    """Its second partition cannot be read on."""

    def stuck(self) -> Mapping[Partition, str]:
        return {P1: "offset 0 cannot be read: damaged"}


def test_a_bounded_run_ends_when_all_that_is_left_cannot_be_read() -> None:
    """It would run for ever, and a script that waits for it too."""
    log = MemoryLog.of(events(P0))
    log.script.append(Event(P1, 0, b"{}"))
    log.low[P1] = 0

    class Silent(Unreadable):
        def _read(self, step: Step) -> None:  # type: ignore[override]  # narrower: no marks
            if getattr(step, "partition", None) == P0:
                super()._read(step)  # type: ignore[arg-type]  # an event, as asked just now

    world = World(Silent(log, BatchLimits(2, 2**20, 1)), Goal(until_latest=True))
    with pytest.raises(
        PartitionUnreadable, match=r"orders\[1\]: offset 0 cannot be read"
    ) as caught:
        world.engine.run()
    assert caught.value.exit_code == 1
    assert "memory_limit" in caught.value.hint
    assert len(world.table.rows()) == 4
    assert world.heard.states[-1][0] == "failed"


def test_a_bounded_run_without_partitions_ends_but_not_at_once() -> None:
    """Other processes own all: nothing is left to do. While partitions move it may look so too."""
    source = MemorySource(MemoryLog.of([]))
    goal = Goal(until_latest=True)
    goal.claimed({}, source, now=100.0)
    assert not goal.is_spare(100.0 + SPARE_SECONDS / 2)
    assert goal.is_spare(100.0 + SPARE_SECONDS)
    unbounded = Goal()
    unbounded.claimed({}, source, now=100.0)
    assert not unbounded.is_spare(1e9)


def test_a_bounded_run_whose_group_has_not_met_does_not_end() -> None:
    """Nothing is ours yet, which is not the same as nothing will be."""

    class Unmet(MemorySource):
        def has_met(self) -> bool:
            return False

    goal = Goal(until_latest=True)
    goal.claimed({}, Unmet(MemoryLog.of([])), now=100.0)
    assert not goal.is_spare(1e9)
