"""What a transform makes of a batch is what it makes of its rows, one by one."""

from __future__ import annotations

import json
from functools import lru_cache
from itertools import pairwise
from random import Random

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_processor.processor.kernel import Processed, process
from stream_processor.processor.plan import Plan
from stream_processor.schema import records
from stream_processor.schema.steps import Derive, Drop, Filter, Mask, Rename, Step
from tests import builders, strategies

FIELDS = (
    {"name": "n", "type": "long"},
    {"name": "m", "type": "int"},
    {"name": "d", "type": "decimal(12,2)"},
    {"name": "s", "type": "string"},
    {"name": "t", "type": "timestamp"},
    {"name": "f", "type": "double"},
    {"name": "b", "type": "boolean"},
)
EXPRESSIONS = (
    "n * n",
    "n + m",
    "m * m",
    "CAST(s AS INTEGER)",
    "CAST(s AS DECIMAL(5,2)) + d",
    "CASE WHEN s ~ '[0-9]{1,4}' THEN CAST(s AS INTEGER) WHEN CAST(s AS INTEGER) > 7 THEN 1 END",
    "b OR CAST(s AS INTEGER) > 5",
    "d / m",
    "d * d * d",
    "ln(f)",
    "f / m",
    "date_trunc('hour', t)",
    "t + to_days(m)",
    "CAST(t AS DATE)",
    "substr(s, m, n)",
    "regexp_replace(s, '[0-9]', '#', 'g')",
    "coalesce(s, 'none') || m",
    "t AT TIME ZONE s IS NULL",
    "make_date(n, m, 1)",
    "CAST(n AS SMALLINT)",
    "greatest(n, m)",
    "n // m",
)
FILTERS = ("n > 0", "s LIKE '%1%'", "CAST(s AS INTEGER) % 2 = 0", "b", "f > 0.5 OR d < 1", "true")

numbers = st.one_of(st.integers(-3, 12), st.sampled_from([2**31 - 1, -(2**31), 46_341]))
events = st.fixed_dictionaries(
    {},
    optional={
        "n": st.one_of(numbers, st.sampled_from([2**63 - 1, -(2**63), 3_037_000_500])),
        "m": numbers,
        "d": st.sampled_from([0, "0.01", "-1.5", "9999999999.99", 12]),
        "s": st.sampled_from(["", "1", "12", "7.5", "x", "99999999999", "UTC", "é1", "nan"]),
        "t": st.sampled_from(["2026-03-01T00:00:00Z", "9999-12-31T23:59:59Z",
                              "0001-01-01T00:00:00Z"]),
        "f": st.sampled_from([0, 0.5, -1.25, 1e308]),
        "b": st.booleans(),
    },
)  # fmt: skip  # one key after the other
steps = st.one_of(
    st.sampled_from(FILTERS).map(Filter),
    st.lists(st.sampled_from(EXPRESSIONS), min_size=1, max_size=3).map(
        lambda texts: Derive(tuple((f"x{place}", text) for place, text in enumerate(texts)))
    ),
    st.sampled_from(
        [
            Mask((("s", "redact"),), b"0123456789abcdef"),
            Mask((("n", "redact"),), b"0123456789abcdef"),
            Rename((("n", "m"), ("m", "n"))),
            Drop(("_rescued",)),
        ]
    ),
)


@lru_cache(maxsize=512)
def plan_of(chosen: tuple[Step, ...]) -> Plan:
    return builders.plan(FIELDS, transform=chosen)


def found(parts: list[Processed]) -> list[list[object]]:
    return [
        [row for part in parts for row in getattr(part, name).to_pylist()]
        for name in ("valid", "dead", "skipped")
    ]


def once(chosen: list[Step]) -> tuple[Step, ...]:
    """A column cannot be dropped twice, nor be renamed into another type than the next expects."""
    kept: list[Step] = []
    for step in chosen:
        if not isinstance(step, Drop | Rename) or step not in kept:
            kept.append(step)
    return tuple(kept)


@settings(max_examples=60, deadline=None)
@given(st.lists(events, max_size=12), st.lists(steps, min_size=1, max_size=4).map(once))
def test_a_batch_is_its_rows_one_by_one(
    values: list[dict[str, object]], chosen: tuple[Step, ...]
) -> None:
    """A restart cuts batches otherwise; a neighbour must never change what becomes of an event."""
    plan = plan_of(chosen)
    raw = builders.raw_batch([json.dumps(value).encode() for value in values])
    whole = process(raw, plan, builders.STAMP)
    alone = [process(raw.slice(at, 1), plan, builders.STAMP) for at in range(raw.num_rows)]
    assert repr(found([whole])) == repr(found(alone))  # nan is not nan
    whole.valid.validate(full=True)
    assert whole.valid.schema.equals(plan.table)


@settings(max_examples=100, deadline=None)
@given(st.lists(strategies.values, max_size=20), st.sampled_from(["dead_letter", "skip"]))
def test_every_event_still_ends_in_exactly_one_output(
    values: list[bytes | None], tombstone: str
) -> None:
    """What is filtered or fails is counted where it goes, or the table would not add up."""
    chosen = (
        Filter("amount > 1"),
        Derive((("n", "CAST(order_id AS INTEGER)"),)),
        Filter("n > 10 OR currency = 'EUR'"),
    )
    plan = builders.plan(tombstone=tombstone, transform=chosen)
    done = process(builders.raw_batch(values), plan, builders.STAMP)
    offsets: pa.ChunkedArray = pa.chunked_array(
        [done.valid[records.KAFKA_OFFSET], done.dead["offset"], done.skipped["offset"]]
    )
    assert sorted(offsets.to_pylist()) == list(range(len(values)))
    for part in (done.dead, done.skipped):
        assert part["offset"].to_pylist() == sorted(part["offset"].to_pylist())
    for letter in done.dead.to_pylist():
        assert letter["value"] == values[letter["offset"]]


def test_a_large_batch_that_is_cut_anywhere_gives_the_same() -> None:
    """The engine of the expressions works on pieces of its own; their seams must not show."""
    dice = Random(5)  # the same events and cuts every time
    texts = ("7", "12", "x", "", "99999999999", "3.5", "2147483647")
    values = [
        json.dumps({"n": dice.randrange(-2, 9), "m": dice.randrange(9), "s": dice.choice(texts)})
        for _ in range(20_000)
    ]
    plan = plan_of((Filter("n <> 3"), Derive((("x", "CAST(s AS INTEGER) + m"),)), Filter("x > 8")))
    raw = builders.raw_batch([value.encode() for value in values])
    cuts = [0, *sorted(dice.randrange(len(values)) for _ in range(9)), len(values)]
    parts = [process(raw.slice(a, b - a), plan, builders.STAMP) for a, b in pairwise(cuts)]
    whole = process(raw, plan, builders.STAMP)
    assert found([whole]) == found(parts)
    assert min(whole.valid.num_rows, whole.dead.num_rows, whole.skipped.num_rows) > 1_000
