"""The law of conservation: every event of a batch ends in exactly one output."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream_processor.schema import records
from tests import builders, strategies


@given(
    st.lists(strategies.values, max_size=30),
    st.sampled_from(["dead_letter", "skip"]),
    st.sampled_from(["rescue", "drop", "reject"]),
)
def test_every_event_ends_in_exactly_one_output(
    values: list[bytes | None], tombstone: str, unknown_fields: str
) -> None:
    """An event in none of the outputs is lost, one in two of them is double."""
    plan = builders.plan(tombstone=tombstone, unknown_fields=unknown_fields)
    done = builders.judge(values, plan)
    offsets = (
        done.valid.column(records.KAFKA_OFFSET).to_pylist()
        + done.dead.column("offset").to_pylist()
        + done.skipped.column("offset").to_pylist()
    )
    assert sorted(offsets) == list(range(len(values)))
    skipped = [at for at, value in enumerate(values) if value is None and tombstone == "skip"]
    assert done.skipped.column("offset").to_pylist() == skipped


@given(st.lists(strategies.values, max_size=10))
def test_the_shapes_are_always_those_of_the_tables(values: list[bytes | None]) -> None:
    """A sink writes what it gets; a column of another type would stop the stream."""
    plan = builders.plan(metadata=("key", "headers"), partition_by=("date(created_at)",))
    done = builders.judge(values, plan)
    assert done.valid.schema.equals(plan.table)
    assert done.dead.schema.equals(records.DEAD_LETTER)
    assert done.skipped.schema.equals(records.SKIPPED)
    for batch in (done.valid, done.dead, done.skipped):
        batch.validate(full=True)


@given(st.lists(strategies.values, max_size=10))
def test_a_dead_letter_holds_the_exact_bytes(values: list[bytes | None]) -> None:
    """Replay can only be exact if the evidence is."""
    for letter in builders.judge(values, builders.plan()).dead.to_pylist():
        at = letter["offset"]
        assert letter["value"] == values[at]
        assert letter["key"] == b"key-%d" % at
        assert letter["headers"] == [{"name": "trace", "value": b"%d" % at}]
