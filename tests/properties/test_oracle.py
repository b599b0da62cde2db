"""The kernel equals the slow, obvious oracle, for any schema and any bytes."""

from __future__ import annotations

import os
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import builders, mutator, strategies
from tests.corpus.test_verdicts import CASES, HEAD
from tests.properties.agreement import kernel_says, oracle_says

MUTANTS = int(os.environ.get("STREAM_PROCESSOR_TEST_MUTANTS", "150000"))
"""How many damaged payloads are tried; set it to millions for a long search."""

SEED = int(os.environ.get("STREAM_PROCESSOR_TEST_SEED", "20261124"))

_CORPUS = HEAD["schema"]["fields"]
_WHOLE = [case.value for case in CASES if case.value and len(case.value) < 2_000]
_AT_ONCE = 2_000

_DEEP = [
    *builders.ORDERS,
    {"name": "city", "type": "string", "from": "address.city"},
    {"name": "zip", "type": "long", "from": "address.zip", "on_error": "rescue"},
    {"name": "quantity", "type": "int", "from": "items[0].qty"},
    {"name": "a", "type": "json"},
    {"name": "n", "type": "string", "from": "a.n.x"},
]

WORLDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "corpus-rescue": (_CORPUS, {}),
    "corpus-strict-reject": (_CORPUS, {"coerce": "strict", "unknown_fields": "reject"}),
    "corpus-drop": (_CORPUS, {"unknown_fields": "drop", "max_record_bytes": 400}),
    "orders-rescue": (builders.ORDERS, {}),
    "orders-drop": (builders.ORDERS, {"unknown_fields": "drop", "max_depth": 5}),
    "deep-rescue": (_DEEP, {}),
    "deep-drop": (_DEEP, {"unknown_fields": "drop"}),
}


@settings(max_examples=600, deadline=None)
@given(strategies.schemas, strategies.options, st.lists(strategies.values, max_size=30))
def test_the_kernel_agrees_with_the_oracle(
    specs: tuple[dict[str, Any], ...], options: dict[str, Any], values: list[bytes | None]
) -> None:
    """Two implementations that share no code are unlikely to share a mistake."""
    found = kernel_says(values, builders.plan(specs, **options))
    assert found == [oracle_says(value, specs, options) for value in values]


@pytest.mark.timeout(36_000)
@pytest.mark.parametrize("world", WORLDS)
def test_damaged_payloads_get_the_verdict_of_the_oracle(world: str) -> None:
    """What a broken producer or a bad disk makes of an event is drawn from no grammar."""
    specs, options = WORLDS[world]
    plan = builders.plan(specs, **options)
    whole = _WHOLE if world.startswith("corpus") else []
    stream = mutator.payloads(whole, SEED + list(WORLDS).index(world))
    for _ in range(MUTANTS // len(WORLDS) // _AT_ONCE):
        values = list(islice(stream, _AT_ONCE))
        for value, found in zip(values, kernel_says(values, plan), strict=True):
            assert (value, found) == (value, oracle_says(value, specs, options))
