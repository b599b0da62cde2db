"""A dead letter of a flood says the same as any other, only with fewer words."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from stream_processor.processor.kernel import process
from stream_processor.processor.letters import SAMPLE_MAX, SAMPLE_PER_CAUSE
from stream_processor.processor.plan import Stamp
from stream_processor.schema import records
from tests import builders, strategies

CALM = builders.STAMP
FLOOD = Stamp(CALM.epoch_microseconds, frozenset({"orders"}))
DETAILS = ("problems", "message", "value_preview")
SAME = [name for name in records.DEAD_LETTER.names if name not in (*DETAILS, "detail_sampled")]


@settings(max_examples=300, deadline=None)
@given(
    strategies.schemas,
    strategies.options,
    st.lists(strategies.values, max_size=30),
    st.sampled_from([(), ("a",), ("a.b", "id")]),
)
def test_all_other_columns_are_those_of_a_calm_stream(
    specs: tuple[dict[str, Any], ...],
    options: dict[str, Any],
    values: list[bytes | None],
    masks: tuple[str, ...],
) -> None:
    """Groups, counts, `verify` and replay must not notice a flood."""
    plan = builders.plan(specs, preview_mask=masks, **options)
    raw = builders.raw_batch(values)
    calm, flood = process(raw, plan, CALM), process(raw, plan, FLOOD)
    assert flood.valid == calm.valid
    assert flood.skipped == calm.skipped
    assert flood.dead.select(SAME) == calm.dead.select(SAME)
    seen: dict[str, int] = {}
    for brief, full in zip(flood.dead.to_pylist(), calm.dead.to_pylist(), strict=True):
        seen[full["fingerprint"]] = seen.get(full["fingerprint"], 0) + 1
        in_full = seen[full["fingerprint"]] <= SAMPLE_PER_CAUSE
        assert full["detail_sampled"] is False
        assert brief["detail_sampled"] is not in_full
        for name in DETAILS:
            assert brief[name] == (full[name] if in_full else None)


def test_a_flood_of_one_topic_leaves_the_others_in_full() -> None:
    """One bad producer must not cost the evidence of all others."""
    raw = builders.raw_batch([b"x"] * 20)
    elsewhere = Stamp(CALM.epoch_microseconds, frozenset({"refunds", "returns"}))
    plan = builders.plan()
    assert process(raw, plan, elsewhere).dead == process(raw, plan, CALM).dead


def test_strangers_cannot_make_every_letter_a_sample() -> None:
    """A cause of its own for each event would otherwise bring the full cost back."""
    fields = [{"name": "a", "type": "int"}]
    plan = builders.plan(fields, unknown_fields="reject")
    raw = builders.raw_batch([b'{"k%da":1}' % number for number in range(3_000)])
    dead = process(raw, plan, FLOOD).dead
    assert len(set(dead.column("fingerprint").to_pylist())) == 3_000
    assert dead.column("detail_sampled").to_pylist().count(False) == SAMPLE_MAX
