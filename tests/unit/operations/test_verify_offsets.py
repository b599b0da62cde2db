"""Sets of offsets as bits, against Python's own sets."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream_processor.operations.verify_offsets import (
    PAGE_OFFSETS,
    OffsetSet,
    count,
    members,
    ranges,
    within,
    without,
)

NEAR_BORDERS = st.one_of(
    st.integers(0, 40),
    st.integers(PAGE_OFFSETS - 20, PAGE_OFFSETS + 20),
    st.integers(3 * PAGE_OFFSETS - 5, 3 * PAGE_OFFSETS + 5),
)
RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)), max_size=8)


@given(st.lists(st.lists(NEAR_BORDERS, max_size=60), max_size=6))
def test_add_returns_every_excess_once(batches):
    """Duplicates are counted with AND before OR; a slip here would hide a double write."""
    known: Counter[int] = Counter()
    offsets = OffsetSet()
    for batch in batches:
        again = offsets.add(np.array(batch, np.int64))
        expected = Counter(batch)
        for offset in expected:
            expected[offset] -= 0 if offset in known else 1
        assert sorted(again.tolist()) == sorted(expected.elements())
        known.update(batch)
    assert len(offsets) == len(known)
    found = [
        o for n in sorted(offsets.page_numbers()) for o in members(offsets.page(n), n).tolist()
    ]
    assert found == sorted(known)


@given(st.integers(0, 3), st.integers(0, 4 * PAGE_OFFSETS))
def test_within_holds_exactly_the_offsets_below(number, span):
    """The last page of a partition is hardly ever full."""
    expected = min(max(span - number * PAGE_OFFSETS, 0), PAGE_OFFSETS)
    page = within(number, span)
    assert count(page) == expected
    begin = number * PAGE_OFFSETS
    assert list(ranges(page, number)) == ([(begin, begin + expected)] if expected else [])


@given(RANGES, RANGES)
def test_without_is_the_difference_of_sets(these, known):
    """Known holes must never be named as losses, nor a loss as a hole."""
    mine: list[tuple[int, int]] = []
    at = 0
    for gap, length in these:  # ascending and apart
        mine.append((at + gap, at + gap + length))
        at += gap + length + 1
    theirs = [(low, low + length) for low, length in known]
    left = [o for begin, end in without(mine, theirs) for o in range(begin, end)]
    gone = {o for low, high in theirs for o in range(low, high)}
    assert left == [o for begin, end in mine for o in range(begin, end) if o not in gone]
