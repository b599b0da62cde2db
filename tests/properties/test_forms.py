"""Whole columns of simple forms convert to what the oracle reads, digit by digit.

The forms are patterns that must never take a text that means something else; so this draws texts
that look like numbers, dates and instants, right and wrong ones, and floats just beside the middle
between two of their kind.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import builders
from tests.properties.agreement import kernel_says, oracle_says

_number = st.from_regex(
    r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", fullmatch=True
) | st.from_regex(r"-?0?[0-9]{1,19}(\.[0-9]{0,4})?", fullmatch=True)
_date = st.from_regex(r"[012][0-9]{3}-[01][0-9]-[0-3][0-9]", fullmatch=True)
_time = st.from_regex(
    r"[Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{0,9})?([Zz]|[+-][0-2][0-9]:[0-6][0-9])?",
    fullmatch=True,
)
_month_end = st.builds(
    "{:04d}-{:02d}-{:02d}".format, st.integers(0, 9999), st.integers(1, 12), st.integers(28, 31)
)
_instant = st.builds("{}{}".format, _date | _month_end, _time)
_word = st.text(alphabet='aZ ž\t\u2003"\\/0n', max_size=6).map(
    lambda text: text.replace('"', '\\"')
)


@st.composite
def _beside_a_middle(draw: st.DrawFn) -> str:
    """The text of a number next to, or exactly at, the middle between two neighbouring floats."""
    bits = draw(st.sampled_from([24, 53]))
    mantissa = draw(st.integers(2 ** (bits - 1), 2**bits - 1))
    middle = Fraction(2 * mantissa + 1, 2) * Fraction(2) ** draw(st.integers(-bits, 6))
    places = draw(st.integers(1, 24))
    text = f"{middle.numerator * 10**60 // middle.denominator:062d}"
    return f"{text[:-60]}.{text[-60:][:places]}{draw(st.sampled_from(['', '1', '0000001']))}"


_plain = _number | _beside_a_middle() | _date | _month_end | _instant | _word
_token = (
    _plain.map('"{}"'.format)
    | _number
    | _beside_a_middle()
    | st.sampled_from(["null", "true", "false", '"true"', '""', "[]", "{}"])
)

FIELDS: list[dict[str, Any]] = [
    {"type": "string"},
    {"type": "string", "normalise": ["trim", "upper", "collapse_spaces"]},
    {"type": "string", "normalise": ["empty_to_null", "lower"], "required": True},
    {"type": "int"},
    {"type": "long", "default": 7},
    {"type": "float"},
    {"type": "double"},
    {"type": "decimal(12,2)"},
    {"type": "decimal(38,20)"},
    {"type": "decimal(4,4)"},
    {"type": "boolean"},
    {"type": "date"},
    {"type": "timestamp"},
    {"type": "timestamp", "timezone": "-05:30", "formats": ["rfc3339", "epoch_ms"]},
    {"type": "timestamp", "formats": ["epoch_s"]},
    {"type": "timestamp", "formats": ["epoch_us"], "normalise": ["trim"]},
    {"type": "binary", "normalise": ["empty_to_null"]},
    {"type": "json"},
]


@pytest.mark.parametrize("field", FIELDS, ids=str)
@settings(max_examples=60, deadline=None)
@given(st.lists(_token, min_size=1, max_size=60), st.sampled_from(["safe", "strict"]))
def test_a_column_means_what_its_texts_mean(
    field: dict[str, Any], texts: list[str], coerce: str
) -> None:
    """Arrow's conversions are fast, and right only for the forms that reach them."""
    specs = [{"name": "a", **field}]
    values = [f'{{"a":{text}}}'.encode() for text in texts]
    found = kernel_says(values, builders.plan(specs, coerce=coerce))
    for value, outcome in zip(values, found, strict=True):
        assert (value, outcome) == (value, oracle_says(value, specs, {"coerce": coerce}))
