"""The arithmetic on which "nothing lost, nothing twice" rests, against a slow, obvious reading."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream_processor.ports import Partition, StartAt
from stream_processor.sources.positions import Positions

PARTS = [Partition("a", "id-a", 0), Partition("a", "id-a", 2), Partition("b", "id-b", 0)]
PLACES = [("a", 0), ("a", 1), ("a", 2), ("a", 9), ("b", 0), ("b", 1), ("c", 0)]

deliveries = st.lists(
    st.lists(st.tuples(st.sampled_from(PLACES), st.integers(0, 20)), max_size=12), max_size=6
)
starts = st.fixed_dictionaries(
    {
        part: st.builds(StartAt, st.integers(0, 10), st.frozensets(st.integers(0, 20), max_size=5))
        for part in PARTS
    }
)


def judge(positions: Positions, fetch: list[tuple[tuple[str, int], int]]) -> list[bool]:
    topics = [place[0] for place, _ in fetch]
    partitions = np.array([place[1] for place, _ in fetch], dtype=np.int64)
    offsets = np.array([offset for _, offset in fetch], dtype=np.int64)
    accepted = positions.accept(positions.slots(topics, partitions), offsets)
    return [True] * len(fetch) if accepted is None else accepted.tolist()


@given(starts, deliveries)
def test_acceptance_equals_the_obvious_reading(
    begin: dict[Partition, StartAt], fetches: list[list[tuple[tuple[str, int], int]]]
) -> None:
    """Whatever order, repetition or stranger Kafka delivers, B1 and B2 decide by offset alone."""
    positions = Positions(begin)
    expected = {(p.topic, p.partition): start.next_offset for p, start in begin.items()}
    held = {(p.topic, p.partition): start.held_back for p, start in begin.items()}
    for fetch in fetches:
        answer = judge(positions, fetch) if fetch else []
        for (place, offset), accepted in zip(fetch, answer, strict=True):
            fits = place in expected and offset >= expected[place]
            if fits:
                expected[place] = offset + 1
            assert accepted == (fits and offset not in held[place])
    for part in PARTS:
        slot = positions.slot(part.topic, part.partition)
        assert positions.next_offset(slot) == expected[part.topic, part.partition]


@given(starts, deliveries)
def test_batches_cover_everything_once(
    begin: dict[Partition, StartAt], fetches: list[list[tuple[tuple[str, int], int]]]
) -> None:
    """One batch begins where the last one ended, and every held-back offset is in exactly one."""
    positions = Positions(begin)
    at = {part: start.next_offset for part, start in begin.items()}
    told: dict[Partition, list[int]] = {part: [] for part in PARTS}
    for fetch in fetches:
        if fetch:
            judge(positions, fetch)
        reach = positions.close_batch()
        assert dict(reach.since) == at
        at = dict(reach.upto)
        for part, offsets in reach.held_back.items():
            assert all(reach.since[part] <= offset < reach.upto[part] for offset in offsets)
            told[part] += offsets
    for part, start in begin.items():
        passed = [x for x in start.held_back if start.next_offset <= x < at[part]]
        assert sorted(told[part]) == sorted(passed)


def test_records_in_order_need_no_look_at_each() -> None:
    """The common case must stay the fast one: None means that all were accepted."""
    positions = Positions({part: StartAt(0) for part in PARTS})
    slots = positions.slots(["a"] * 4, np.array([0, 2, 0, 2]))
    assert positions.accept(slots, np.array([5, 1, 6, 7])) is None
    assert positions.left_out == 0


def test_the_end_of_a_partition_never_moves_back() -> None:
    """An end-of-partition event may be older than the records that came with it."""
    positions = Positions({PARTS[0]: StartAt(4)})
    positions.reach(0, 9)
    positions.reach(0, 6)
    assert positions.next_offset(0) == 9
    assert positions.advanced


def test_an_accepted_gap_is_told_once() -> None:
    """The range that a person gave up belongs to the batch that passes it, and to no other."""
    positions = Positions({PARTS[0]: StartAt(4)})
    positions.skip_gap(0, 7)
    positions.skip_gap(0, 7)
    assert positions.close_batch().gaps == {PARTS[0]: ((4, 7),)}
    assert positions.close_batch().gaps == {}


def test_a_held_back_offset_in_an_accepted_gap_is_not_lost() -> None:
    """The table has its dead letter: counted in the gap too, the proof would be one too many."""
    positions = Positions({PARTS[0]: StartAt(4, frozenset({4, 6, 7, 12}))})
    positions.skip_gap(0, 10)
    reach = positions.close_batch()
    assert reach.gaps == {PARTS[0]: ((5, 6), (8, 10))}
    assert reach.held_back == {PARTS[0]: frozenset({4, 6, 7})}
    assert reach.upto == {PARTS[0]: 10}


def test_nothing_is_started_at_first() -> None:
    """Before the first claim every record belongs to nobody."""
    positions = Positions({})
    assert judge(positions, [(("a", 0), 1)]) == [False]
    assert not positions.advanced
    assert positions.left_out == 1
