"""How events are cut into batches is chance: a restart cuts them otherwise."""

from __future__ import annotations

from itertools import islice, pairwise
from random import Random

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_processor.processor.kernel import Processed, process
from tests import builders, mutator, strategies

PLAN = builders.plan(tombstone="skip")


def _union(parts: list[Processed]) -> tuple[list[object], list[object], list[object]]:
    return (
        [row for part in parts for row in part.valid.to_pylist()],
        [row for part in parts for row in part.dead.to_pylist()],
        [row for part in parts for row in part.skipped.to_pylist()],
    )


def _cut(whole: pa.RecordBatch, ends: list[int]) -> list[pa.RecordBatch]:
    bounds = [0, *sorted(ends), whole.num_rows]
    return [whole.slice(a, b - a) for a, b in pairwise(bounds)]


@settings(max_examples=100, deadline=None)
@given(st.lists(strategies.values, max_size=30), st.lists(st.integers(0, 30), max_size=4))
def test_splitting_a_batch_never_changes_the_union(
    values: list[bytes | None], ends: list[int]
) -> None:
    """After a crash the same events come in other batches, and must mean the same."""
    whole = builders.raw_batch(values)
    parts = [
        process(part, PLAN, builders.STAMP)
        for part in _cut(whole, [min(end, len(values)) for end in ends])
    ]
    assert _union(parts) == _union([process(whole, PLAN, builders.STAMP)])


def test_splitting_a_large_batch_never_changes_the_union() -> None:
    """Large batches are worked on in slices; their seams must not show."""
    values = list(islice(mutator.payloads([], 3), 40_000))
    whole = builders.raw_batch(values)
    dice = Random(4)  # the same cuts every time
    parts = _cut(whole, [dice.randrange(len(values)) for _ in range(7)])
    halves = [process(part, PLAN, builders.STAMP) for part in parts]
    assert _union(halves) == _union([process(whole, PLAN, builders.STAMP)])
