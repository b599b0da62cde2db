"""Numbers, instants and texts at the edges where libraries differ."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_processor.schema import instants, numbers
from stream_processor.schema.normalise import WHITE_SPACE, normalise
from stream_processor.schema.types import parse_type
from stream_processor.schema.values import Failure

_SINGLES = sorted(
    {0.0, 1e-45, 1.17549435e-38, 0.1, 1.0, 1.0000001, 16777216.0, 16777218.0, 3.4028234663852886e38}
)


def single_bits(value: float) -> int:
    return int(struct.unpack("<i", struct.pack("<f", value))[0])


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("1_000", "long", None),
        ("+7", "long", None),
        ("007", "long", None),
        (" 7", "long", None),
        ("7\n", "long", None),
        ("７", "long", None),  # noqa: RUF001  # a full-width digit
        ("1.", "long", None),
        (".5", "long", None),
        ("-0.0e-5", "long", 0),
        ("1200e-2", "long", 12),
        ("1200e-3", "long", Failure.TYPE),
        ("2147483647", "int", 2**31 - 1),
        ("2147483648", "int", Failure.RANGE),
        ("-2147483648", "int", -(2**31)),
        ("1e400", "long", Failure.RANGE),
        ("0e401", "long", Failure.RANGE),
        ("1e0000000000000000001", "long", 10),
        ("9" * 401, "long", Failure.RANGE),
    ],
)
def test_whole_numbers(text: str, kind: str, expected: object) -> None:
    """None: not a number by RFC 8259, though Python's int() takes it."""
    if expected is None:
        assert numbers.NUMBER.fullmatch(text) is None
    else:
        assert numbers.NUMBER.fullmatch(text)
        assert numbers.whole(text, kind) == expected


@pytest.mark.parametrize(
    ("text", "column", "fits"),
    [
        ("1.2500", "decimal(12,2)", "1.25"),
        ("1.2501", "decimal(12,2)", None),
        ("9999999999.99", "decimal(12,2)", "9999999999.99"),
        ("10000000000", "decimal(12,2)", None),
        ("1e-2", "decimal(12,2)", "0.01"),
        ("12e8", "decimal(12,2)", "1200000000"),
        ("0.000e-399", "decimal(12,2)", "0"),
        ("-0.99", "decimal(2,2)", "-0.99"),
        ("1", "decimal(2,2)", None),
        ("9" * 38, "decimal(38,0)", "9" * 38),
        ("1" + "0" * 38, "decimal(38,0)", None),
    ],
)
def test_decimals_fit_exactly_or_not_at_all(text: str, column: str, fits: str | None) -> None:
    """Money is never rounded."""
    value = numbers.decimal(text, parse_type(column))
    assert (value if isinstance(value, Failure) else format(value, "f")) == (
        Failure.RANGE if fits is None else fits
    )


@given(st.sampled_from(list(pairwise(_SINGLES))), st.fractions(0, 1, max_denominator=2**30))
def test_the_nearest_float_is_the_nearest(around: tuple[float, float], part: Fraction) -> None:
    """Rounding to a double first and to a float then gives another number, now and then."""
    low, high = around
    exact = Fraction(low) + (Fraction(high) - Fraction(low)) * part
    digits = 180
    scaled = exact.numerator * 10**digits // exact.denominator
    text = f"{scaled // 10**digits}.{scaled % 10**digits:0{digits}d}"
    found = numbers.single(text)
    assert isinstance(found, float)
    bits = single_bits(found)
    assert found == struct.unpack("<f", struct.pack("<i", bits))[0]
    for other in (bits - 1, bits + 1):
        if 0 <= other <= single_bits(_SINGLES[-1]):
            beside = struct.unpack("<f", struct.pack("<i", other))[0]
            assert abs(Fraction(found) - Fraction(text)) <= abs(Fraction(beside) - Fraction(text))


@pytest.mark.parametrize("text", ["1e39", "-1E100", "3.4028236e38", "1e308", "1e999", "9e99999"])
def test_a_number_beyond_the_largest_float_is_out_of_range(text: str) -> None:
    """Infinity, or the largest float in its place, would be a number nobody sent."""
    assert numbers.single(text) is Failure.RANGE


@pytest.mark.parametrize(
    ("text", "fits"), [("16777216", True), ("16777217", False), ("16777217.0", True), ("-0", True)]
)
def test_a_plain_integer_must_be_held_exactly(text: str, fits: object) -> None:
    """An order number in a float column must not become its neighbour."""
    assert isinstance(numbers.single(text), float) is fits


@given(st.datetimes(timezones=st.just(UTC)), st.integers(0, 23 * 60 + 59), st.sampled_from("+-"))
def test_an_instant_is_the_same_in_every_offset(when: datetime, minutes: int, sign: str) -> None:
    """The offset is where the clock hung, not when it was."""
    micros = instants.timestamp(when.isoformat(timespec="microseconds"), None)
    assert isinstance(micros, int)
    assert micros == (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    wall = when.isoformat(timespec="microseconds").removesuffix("+00:00")
    moved = instants.timestamp(f"{wall}{sign}{minutes // 60:02d}:{minutes % 60:02d}", None)
    shift = minutes * 60_000_000 * (-1 if sign == "+" else 1)
    inside = instants.within_years(micros + shift)
    assert moved == inside


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
        ("0001-01-01T00:00:00+00:01", Failure.RANGE),
        ("9999-12-31T23:59:59.9999999Z", 253_402_300_799_999_999),
        ("9999-12-31T23:59:59-00:01", Failure.RANGE),
        ("0000-01-01T00:00:00Z", Failure.FORMAT),
        ("2026-11-23T23:59:60Z", Failure.FORMAT),
        ("2026-11-23T10:00:00", Failure.FORMAT),
        ("2026-11-23T10:00:00.Z", Failure.FORMAT),
        ("2026-11-23T10:00:00+24:00", Failure.FORMAT),
        ("2026-11-23T10:00:00Z\n", Failure.FORMAT),
        ("２026-11-23T10:00:00Z", Failure.FORMAT),  # noqa: RUF001  # a full-width digit
        ("1969-12-31T23:59:59.9999995z", -1),
    ],
)
def test_the_edges_of_time(text: str, expected: object) -> None:
    """Digits are cut, never rounded; years end where the table's type ends."""
    assert instants.timestamp(text, None) == expected


@given(st.text(alphabet=[*WHITE_SPACE, "\x1c", "\x1f", "a", "\u200b"], max_size=8))
def test_white_space_is_what_unicode_says(text: str) -> None:
    """Python's own notion has four characters more."""
    bare = [letter in WHITE_SPACE for letter in text]
    trimmed = normalise(text, ("trim",))
    assert trimmed is not None
    assert not trimmed or (trimmed[0] not in WHITE_SPACE and trimmed[-1] not in WHITE_SPACE)
    assert trimmed in text
    collapsed = normalise(text, ("collapse_spaces",))
    runs = sum(now and not before for before, now in pairwise([False, *bare]))
    assert collapsed is not None
    assert len(collapsed) == bare.count(False) + runs
    assert all(letter == " " or letter not in WHITE_SPACE for letter in collapsed)


def test_rules_are_applied_in_their_order() -> None:
    """An empty string may come only from the trim before."""
    assert normalise("  ", ("trim", "empty_to_null")) is None
    assert normalise("  ", ("empty_to_null", "trim")) == ""
    assert normalise("straße İ", ("upper",)) == "STRASSE İ"
    assert normalise("İ", ("lower",)) == "i̇"
