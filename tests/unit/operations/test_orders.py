"""Invented orders: what the demo shows and the benchmarks measure stands on them."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from stream_processor.operations.assemble import plan_of
from stream_processor.operations.orders import BREAKERS, EPOCH_MS, SPACING_MS, orders
from stream_processor.processor.plan import Plan
from stream_processor.runtime.config_loader import load_pipeline
from stream_processor.schema import records
from tests.builders import judge


@pytest.fixture(scope="module")
def default_plan() -> Plan:
    names = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9", "KAFKA_TOPICS": "orders"}
    loaded = load_pipeline(None, environment=names, overrides={})
    return plan_of(loaded.pipeline, loaded.schema_file)


def test_the_same_seed_gives_the_same_events() -> None:
    """Figures of two machines are only comparable over the same events."""
    assert list(orders(3000, seed=7)) == list(orders(3000, seed=7))
    assert list(orders(3000, seed=7)) != list(orders(3000, seed=8))


def test_whole_orders_are_rows_and_what_the_schema_does_not_name_is_rescued(
    default_plan: Plan,
) -> None:
    """The demo must not dead-letter good events, and `_rescued` must have something to show."""
    values = [value for _, value in orders(5000, seed=1, broken_ratio=0)]
    processed = judge(values, default_plan)
    assert processed.valid.num_rows == 5000
    rescued = [json.loads(text) for text in processed.valid.column(records.RESCUED).to_pylist()]
    assert all({"channel", "items", "shipping", "loyalty_points"} <= set(each) for each in rescued)
    assert any("customer_id" in each for each in rescued)  # a bad value that costs a field only


def test_every_kind_of_damage_becomes_a_dead_letter(default_plan: Plan) -> None:
    """A "broken" event that passes would make the demo's numbers a lie."""
    codes = {}
    whole = [value for _, value in orders(200, seed=2, broken_ratio=0) if value is not None]
    for name, damage in BREAKERS.items():
        dead = judge([damage(value) for value in whole], default_plan).dead
        assert dead.num_rows == len(whole), name
        (codes[name],) = set(dead.column("code").to_pylist())
    assert len(set(codes.values())) == len(BREAKERS)


def test_about_one_in_a_hundred_is_broken_in_every_way(default_plan: Plan) -> None:
    """The demo promises one example for each of many codes."""
    values = [value for _, value in orders(50_000, seed=3)]
    dead = judge(values, default_plan).dead
    assert 400 <= dead.num_rows <= 600
    assert len(Counter(dead.column("code").to_pylist())) == len(BREAKERS)


def test_the_size_is_the_one_of_the_benchmarks() -> None:
    """Published figures speak of events of about 283 bytes."""
    sizes = [len(value) for _, value in orders(20_000, seed=4, broken_ratio=0) if value]
    assert 278 <= sum(sizes) / len(sizes) <= 288


def test_a_later_call_continues_the_numbers_and_the_time() -> None:
    """Runs of the demo continue each other; an order number must not come twice."""
    early = list(orders(10, seed=1, broken_ratio=0))
    later = list(orders(10, seed=2, broken_ratio=0, first=10, epoch_ms=EPOCH_MS + 10 * SPACING_MS))
    assert len({key for key, _ in early + later}) == 20
    placed = [json.loads(value or b"")["created_at"] for _, value in early + later]
    texts = [moment for moment in placed if isinstance(moment, str)]
    assert texts == sorted(set(texts))
    assert len(texts) < len(placed)  # some are numbers, as the schema allows
