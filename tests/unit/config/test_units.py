"""Durations and sizes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_processor.config.units import Duration, Size


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500ms", 0.5),
        ("30s", 30),
        ("5m", 300),
        ("168h", 604_800),
        ("30d", 2_592_000),
        ("1.5h", 5400),
    ],
)
def test_a_duration_is_read_in_seconds(text: str, value: float) -> None:
    """A wrong factor would make commits a thousand times too rare."""
    assert Duration.parse(text) == value


@pytest.mark.parametrize(
    ("text", "value"), [("64KiB", 65_536), ("1 MiB", 2**20), ("2GiB", 2**31), ("1kB", 1000)]
)
def test_a_size_is_read_in_bytes(text: str, value: int) -> None:
    """KiB and kB are two units, and both are used."""
    assert Size.parse(text) == value


@pytest.mark.parametrize(
    "text", ["30", 30, "s", "-1s", "1e3s", "30S", "9" * 400 + "s", None, "", True]
)
def test_a_bare_number_is_refused(text: object) -> None:
    """Nobody can tell whether 30 means seconds or milliseconds."""
    with pytest.raises(ValueError, match="with a unit"):
        Duration.parse(text)


@given(st.integers(1, 10**9), st.sampled_from(sorted(Size.units)))
def test_a_size_survives_being_shown(number: int, unit: str) -> None:
    """What `config show` prints can be written into a file again."""
    size = Size.parse(f"{number}{unit}")
    assert Size.parse(size.in_words()) == size


def test_the_text_of_a_quantity_is_its_bare_number() -> None:
    """Clients of Kafka take `str(value)`, and know nothing of units."""
    assert (str(Size.parse("1KiB")), f"{Duration.parse('2s'):.0f}") == ("1024", "2")
