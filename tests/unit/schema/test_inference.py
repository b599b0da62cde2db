"""What a sample suggests: types, required fields, times and their zone, and where it is unsure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_processor.errors import ConfigurationError
from stream_processor.operations.infer import Inferred, infer_events
from stream_processor.operations.infer_sources import Sample
from stream_processor.operations.try_payloads import Event, plan_of_schema, raw_batch
from stream_processor.processor.kernel import process
from stream_processor.processor.plan import Stamp
from stream_processor.runtime.config_loader import load_schema
from stream_processor.schema.inference import Draft, draft
from stream_processor.schema.observation import observe

NUMBERS = [json.loads(text) for text in ("1", "-7", "9007199254740993")]


def drafted(key: str, values: Sequence[Any]) -> Draft:
    """The draft of one key that had these values; a text that begins with = is raw JSON."""
    texts = [v[1:] if isinstance(v, str) and v.startswith("=") else json.dumps(v) for v in values]
    seen, read, _ = observe([f'{{"{key}": {text}}}'.encode() for text in texts])
    return draft(key, seen[key], read)


@pytest.mark.parametrize(
    ("key", "values", "type_text"),
    [
        ("n", NUMBERS, "long"),
        ("n", ["=1.5", "=2"], "decimal(12,1)"),
        ("n", ["=12345678901.25"], "decimal(17,2)"),
        ("n", ["=52.5200066"], "double"),
        ("n", ["=1e3"], "double"),
        ("n", ["=18446744073709551616"], "decimal(38,0)"),
        ("n", ["=" + "9" * 39], "string"),
        ("n", ["12.50", "7.00"], "decimal(12,2)"),
        ("n", ["0042", "17"], "string"),
        ("n", ["1042", "17"], "string"),
        ("n", [True, False], "boolean"),
        ("n", [True, "false"], "boolean"),
        ("n", ["true", "false"], "string"),
        ("n", ["2026-11-24"], "date"),
        ("n", ["2026-11-24T10:00:00Z", "2026-11-24 10:00:00.5+02:00"], "timestamp"),
        ("n", ["2026-11-24T10:00:00"], "timestamp"),
        ("n", ["2026-11-24", "2026-11-24T10:00:00Z"], "string"),
        ("created_at", [1764000000], "timestamp"),
        ("createdAt", [1764000000123], "timestamp"),
        ("ts", [1764000000123456], "timestamp"),
        ("stats", [1764000000], "long"),
        ("weight_at", [17], "long"),
        ("n", [{"a": 1}], "json"),
        ("n", [[1]], "json"),
        ("n", [[1], "x"], "json"),
        ("n", [None], "string"),
        ("n", [1, "x", "y"], "string"),
        ("n", ["x"], "string"),
    ],
)
def test_the_type_that_holds_all_of_them(key: str, values: Sequence[Any], type_text: str) -> None:
    """Guessed too narrow it costs dead letters, too wide it costs every query a cast."""
    assert drafted(key, values).type == type_text


def test_times_say_how_they_are_written() -> None:
    """A wrong zone shifts every row by hours without any error."""
    zoned = drafted("at", ["2026-11-24T10:00:00Z"])
    assert (zoned.formats, zoned.timezone, zoned.todos) == ((), None, ())
    unzoned = drafted("at", ["2026-11-24T10:00:00Z", "2026-11-24T10:00:00"])
    assert unzoned.timezone == "UTC"
    assert unzoned.todos == ("1 values without an offset: is their zone UTC?",)
    both = drafted("at", ["2026-11-24T10:00:00Z", 1764000000123])
    assert both.formats == ("rfc3339", "epoch_ms")


def test_required_needs_enough_records_and_all_of_them() -> None:
    """Three events prove nothing about the fourth."""
    assert not drafted("id", [1, 2, 3]).required
    assert drafted("id", list(range(20))).required
    assert not drafted("id", [*range(19), None]).required


def test_candidates_for_a_key_and_for_an_enum_are_remarks() -> None:
    """An enum that is guessed would make the first new value a dead letter."""
    key = drafted("id", [f"O-{n}" for n in range(100)])
    assert key.notes == ("100 distinct -> candidate key",)
    enum = drafted("currency", [["EUR", "USD", "GBP"][n % 3] for n in range(100)])
    assert enum.notes == ("3 distinct: EUR, GBP, USD -> enum suggested",)
    assert enum.todos == ('enum: ["EUR", "GBP", "USD"], if these are all',)
    assert enum.type == "string"


def test_a_few_odd_values_cost_the_field_only() -> None:
    """The mock-up's comma decimals: the column is a number all the same."""
    found = drafted("amount", [*[f"={n}.50" for n in range(98)], "12,50", "7,10"])
    assert (found.type, found.on_error) == ("decimal(12,2)", "rescue")
    assert found.todos == ("2 values are strings with a comma: they cost the field, not the row",)


KEYS = st.one_of(
    st.sampled_from(
        ["id", "ID", "created_at", "_rescued", "_kafka_offset", "a.b", "a b", "1x", "no"]
    ),
    st.text(max_size=6),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-(10**40), max_value=10**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(
        [
            "2026-11-24T10:00:00Z",
            "2026-11-24",
            "12.50",
            "12,50",
            "1e5",
            "true",
            "0001-01-01T00:00:00+14:00",
        ]
    ),
)
VALUES = st.one_of(
    SCALARS, st.lists(SCALARS, max_size=2), st.dictionaries(KEYS, SCALARS, max_size=2)
)


def accepted(report: Inferred, values: Sequence[bytes], folder: Path) -> int:
    """How many become rows by the text itself, as a person would load it."""
    path = folder / "drafted.yaml"
    path.write_text(report.text)
    plan = plan_of_schema(load_schema(path))
    done = process(raw_batch([Event(value) for value in values], 0), plan, Stamp.at(0.0))
    return int(done.valid.num_rows)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.dictionaries(KEYS, VALUES, min_size=1, max_size=5), min_size=1, max_size=30))
def test_the_draft_loads_and_takes_the_whole_sample(
    tmp_path_factory: pytest.TempPathFactory, events: list[dict[str, Any]]
) -> None:
    """Whatever the events are, the first run by the draft makes no dead letter of a guess."""
    values = [
        json.dumps(event, ensure_ascii=False).encode("utf-8", "surrogatepass") for event in events
    ]
    valid = [value for value in values if _is_utf8(value)]
    if not valid:
        return
    try:
        report = infer_events(Sample("events", "events", tuple(valid)))
    except ConfigurationError as error:
        assert "no key that a path" in error.message  # noqa: PT017 - the other way to end
        return
    taken = accepted(report, valid, tmp_path_factory.mktemp("draft"))
    assert taken == len(valid) == report.rows


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
