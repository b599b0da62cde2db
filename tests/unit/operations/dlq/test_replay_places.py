"""Each event has one fate, and is taken once, whatever order and repetition it is asked in."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from stream_processor.operations.dlq.replay_places import Fate, by_partition, places_of

Identity = tuple[str, str | None, int, int]


def batch(identities: list[Identity]) -> pa.RecordBatch:
    topics, ids, partitions, offsets = zip(*identities, strict=True) if identities else ((),) * 4
    return pa.RecordBatch.from_arrays(
        [
            pa.array(topics, pa.string()),
            pa.array(ids, pa.string()),
            pa.array(partitions, pa.int32()),
            pa.array(offsets, pa.int64()),
        ],
        names=["topic", "topic_id", "partition", "offset"],
    )


_IDENTITIES = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from(["x", "y~1", None]),
        st.integers(0, 2),
        st.integers(0, 30) | st.integers(2**62, 2**62 + 3),
    ),
    max_size=40,
)


def key(identity: Identity) -> tuple[str, int, int]:
    topic, topic_id, partition, offset = identity
    return topic_id or topic, partition, offset


@given(_IDENTITIES, _IDENTITIES, st.integers(0, 20))
def test_fates_are_those_of_a_set(meant: list[Identity], rows: list[Identity], upto: int) -> None:
    """The slow, obvious way: sets of tuples."""
    places = places_of([batch(meant[:5]), batch(meant[5:])])
    places.settle({("x", 0): upto, ("a", 0): upto, ("x", 1): 2**63 - 1})
    for found, _, offsets in by_partition(batch(rows)):
        places.found(found, offsets)

    def settled(identity: Identity) -> bool:
        name, partition, offset = key(identity)
        ends = {("x", 0): upto, ("a", 0): upto, ("x", 1): 2**63 - 1}
        return offset < ends.get((name, partition), -1)

    there = {key(row) for row in rows}
    asked = [*meant, *rows]
    seen: set[tuple[str, int, int]] = set()
    expected = []
    for identity in asked:
        if key(identity) not in {key(one) for one in meant}:
            fate = Fate.UNKNOWN
        elif key(identity) in seen:
            fate = Fate.TAKEN
        elif not settled(identity):
            fate = Fate.PENDING
        else:
            fate = Fate.THERE if key(identity) in there else Fate.TO_DO
        seen.add(key(identity))
        expected.append(fate)
    todo = {key(one) for one, fate in zip(asked, expected, strict=True) if fate == Fate.TO_DO}
    assert places.count(Fate.TO_DO) == len(todo)
    where = places.where("partition", "offset")
    assert (where is None) == (not todo)
    if where is not None:
        kept = pa.Table.from_batches([batch(meant)]).filter(where).to_pylist()
        assert todo <= {key((*row.values(),)) for row in kept}
    assert np.array_equal(places.take(batch(asked)), expected)


def test_a_row_without_an_identity_belongs_to_nobody() -> None:
    """Only a foreign hand writes such a row; it must not end the job."""
    rows = pa.RecordBatch.from_pylist(
        [
            {"topic": None, "topic_id": None, "partition": 0, "offset": 1},
            {"topic": "a", "topic_id": None, "partition": None, "offset": 1},
            {"topic": "a", "topic_id": None, "partition": 0, "offset": None},
        ],
        schema=batch([]).schema,
    )
    places = places_of([rows])
    assert places.take(rows).tolist() == [Fate.UNKNOWN] * 3
