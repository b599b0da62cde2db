"""The breaker: floods are told once, what was forgotten counts once, a pause holds."""

from __future__ import annotations

from typing import Any

import pytest

from stream_processor.errors import BreakerOpen
from stream_processor.ports import Advance, Partition, Position
from stream_processor.processor.kernel import Processed, process
from stream_processor.runtime.breaker import Breaker, BreakerTerms
from stream_processor.runtime.flow import Limits, outcomes_of
from tests import builders

ORDERS = Partition("orders", "topic-id-1", 0)
GOOD = b'{"a":1}'
BAD = b'{"a":"x"}'
PLAN = builders.plan([{"name": "a", "type": "int"}])
LIMITS = Limits(max_ratio=0.2, window_records=10, max_consecutive=5)


class Stream:
    """Gives batches of one partition to a breaker, as the engine does, and hears what it tells."""

    def __init__(self, breaker: Breaker) -> None:
        self.breaker = breaker
        self.at = 0
        self.told: list[tuple[str, dict[str, object]]] = []
        breaker.tell = lambda name, **facts: self.told.append((name, facts))

    def judge(self, values: list[bytes]) -> Advance:
        raw = builders.raw_batch(values, first_offset=self.at)
        done: Processed = process(raw, PLAN, builders.STAMP)
        upto = self.at + len(values)
        told = self.breaker.judged(raw, done.dead, {ORDERS: Advance(self.at, upto)})
        self.at = upto
        return told[ORDERS]

    def settle(self, values: list[bytes]) -> list[str]:
        self.judge(values)
        self.told.clear()
        self.breaker.settled()
        return [name for name, _ in self.told]


def breaker(**terms: Any) -> Breaker:
    return Breaker(BreakerTerms(**{"limits": LIMITS, "action": "surge", "mark": 7, **terms}))


def test_a_flood_is_told_when_it_begins_and_when_it_ends() -> None:
    """Two lines, not one per batch: that is what a person can read."""
    stream = Stream(breaker())
    assert stream.settle([GOOD] * 10) == []
    assert stream.settle([BAD] * 5) == ["breaker_opened"]
    assert stream.breaker.flooded == {"orders"}
    assert stream.settle([BAD, GOOD] * 3) == []
    assert stream.settle([GOOD] * 11) == ["breaker_closed"]
    assert stream.breaker.flooded == frozenset()


def test_the_line_says_how_many_and_of_what() -> None:
    """At night one reads this line first."""
    stream = Stream(breaker())
    stream.judge([GOOD] * 4 + [BAD] * 6)
    stream.breaker.settled()
    ((_, facts),) = stream.told
    assert facts == {
        "topic": "orders",
        "dead_letters": 6,
        "records": 10,
        "ratio": 0.6,
        "action": "surge",
        "code": "field.type",
        "consecutive": 6,
        "reason": "6 of the last 10 events of orders are dead letters, mostly field.type; "
        "the longest run is 6",
    }


def test_the_tables_remember_a_flood_and_a_pause() -> None:
    """`status` and the next start read nothing else."""
    stream = Stream(breaker(action="pause"))
    calm, flood = stream.judge([GOOD] * 10), stream.judge([BAD] * 5)
    assert (calm.flooded, calm.paused) == (False, 0)
    assert (flood.flooded, flood.paused) == (True, 7)


def test_a_batch_that_is_read_again_counts_once() -> None:
    """An outage that repeats a batch must not look like a flood."""
    stream = Stream(breaker())
    for _ in range(5):
        stream.judge([BAD] * 3)
        stream.breaker.forgotten()
        stream.at = 0
    assert stream.breaker.flooded == frozenset()
    assert stream.settle([BAD] * 3) == []


def test_a_pause_waits_for_the_batch_that_began_the_flood() -> None:
    """Evidence first: what was read is written, and only then the stream stops."""
    stream = Stream(breaker(action="pause"))
    stream.judge([BAD] * 5)
    assert stream.breaker.trips
    assert stream.breaker.flooded == frozenset(), "a pause describes every dead letter in full"
    stream.breaker.settled()
    error = stream.breaker.refuse()
    assert "5 of the last 5 events of orders" in error.message
    assert "--resume" in error.hint
    assert error.exit_code == 4


def test_a_claim_of_a_paused_partition_is_refused() -> None:
    """A supervisor that starts it again and again must not read the flood bit by bit."""
    paused = {ORDERS: Position(5, paused=7)}
    stream = Stream(breaker(action="pause"))
    for _ in ("at the start", "after a rebalance"):
        with pytest.raises(BreakerOpen, match="orders"):
            stream.breaker.claimed(paused)
    assert [name for name, _ in stream.told] == ["breaker_opened"]
    breaker(action="surge").claimed(paused)


def test_a_pause_ends_with_other_rules_or_by_a_person() -> None:
    """The number in the table is that of the rules that were in force."""
    waiting = breaker(action="pause")
    assert not waiting.resumes(7)
    assert waiting.resumes(8)
    assert breaker(action="pause", resume=True).resumes(7)


def test_a_person_resumes_once() -> None:
    """Else a new flood would be resumed by the decision about the old one."""
    resumed = breaker(action="pause", resume=True)
    stream = Stream(resumed)
    stream.judge([BAD] * 5)
    stream.breaker.settled()
    resumed.refuse()
    assert not resumed.resumes(7)


def test_what_moved_to_another_process_is_forgotten() -> None:
    """Memory is bounded by what we own."""
    stream = Stream(breaker())
    stream.settle([BAD] * 5)
    stream.breaker.claimed({Partition("refunds", "id-2", 0): Position(0)})
    assert stream.breaker.flooded == frozenset()
    assert stream.told[-1][0] == "breaker_closed", "what was told open is told closed"


def test_without_an_action_nothing_is_counted() -> None:
    """Who switched it off pays nothing."""
    stream = Stream(breaker(action="none"))
    assert stream.settle([BAD] * 50) == []
    assert stream.judge([BAD] * 50) == Advance(50, 100)


def test_dead_letters_are_found_among_the_events_of_several_partitions() -> None:
    """Offsets repeat from partition to partition."""
    raw = builders.raw_batch([GOOD, BAD, GOOD, BAD])
    places = builders.replaced(raw, partition=[0, 1, 1, 0], offset=[4, 4, 5, 5])
    dead = process(places, PLAN, builders.STAMP).dead
    found = outcomes_of(places, dead)["orders"]
    assert found.dead.tolist() == [False, True, False, True]
    assert found.partition.tolist() == [0, 1, 1, 0]
