"""Patterns are RE2, match the whole string, and never cost more than a record may."""

from __future__ import annotations

import random
import time

import pyarrow as pa
import pytest

from stream_processor.schema import pattern


@pytest.mark.parametrize("text", [r"(?=a)b", r"(?!a)b", r"(a)\1", r"(?<=a)b", "(", "a)|(b"])
def test_what_re2_does_not_know_is_refused(text: str) -> None:
    """Look-around and back-references are what makes other engines slow for ever."""
    assert pattern.refusal(text) is not None


def test_a_long_pattern_is_refused() -> None:
    """Its cost could not be bounded."""
    assert pattern.refusal("a" * 1_001) == "at most 1000 characters"


@pytest.mark.parametrize("text", ["a{900}b{900}c{900}", r"\pL{90}", r"[\pL\pN]{40}"])
def test_a_pattern_of_many_places_is_refused(text: str) -> None:
    """Compiling it alone would take longer than a record may."""
    assert "too large" in (pattern.refusal(text) or "")


@pytest.mark.parametrize(
    ("text", "value", "verdict"),
    [
        ("[A-Z]{2}[0-9]{3}", "AB123", True),
        ("[A-Z]{2}[0-9]{3}", "AB123\n", False),
        ("[A-Z]{2}[0-9]{3}", "xAB123", False),
        ("a|b", "b", True),
        ("a|bc", "ac", False),
        ("", "", True),
        (".", "ž", True),
        (".", "\n", False),
        ("(?m)^a$", "a\nb", False),
    ],
)
def test_the_whole_string_must_match(text: str, value: str, verdict: object) -> None:
    """A pattern that matches somewhere would let everything pass."""
    assert pattern.refusal(text) is None
    assert pattern.matches(pa.array([value, None]), text).to_pylist() == [verdict, None]


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("abc", 3),
        ("[A-Z]{2}[0-9]{3}", 5),
        (r"(?:a{30}b){10}", 310),
        (r"(?P<year>\d{4})-(\d\d){2,7}", 19),
        (r"[]{9}a]{2}\{9\}", 5),
        (r"\pL{10}\p{Greek}{20,}", 900),
        (r"[[:alpha:]{5}]{3}", 3),
        (r"(((a{9}){9}){9})", 729),
        ("", 1),
    ],
)
def test_the_places_of_a_pattern_bound_the_text(text: str, places: int) -> None:
    """The bound follows from the pattern alone, so its author can know it."""
    assert pattern.text_bytes_max(text) == 5_000_000 // places


def test_a_text_beyond_the_bound_does_not_match_and_its_neighbours_do() -> None:
    """One long text must not change what is said about the others."""
    text = "[a-z]{1,1000}.*"
    limit = pattern.text_bytes_max(text)
    values = pa.array(["abc", "x" * limit, "x" * (limit + 1), None, "1"])
    assert pattern.matches(values, text).to_pylist() == [True, True, False, None, False]


@pytest.mark.parametrize(
    "text",
    [
        "(a*)*b", "(a|aa)+c", ".*a.{1000}", ".*a.{1000}.{990}", "(.{1,30}){1,30}x",
        r"[01]*1[01]{900}", r".*[aﬃ]\pL{60}", r".*1[^a]{800}", "(?:a?){500}a{500}",
    ],
)  # fmt: skip  # a list of words
def test_no_pattern_is_too_dear(text: str) -> None:
    """A record of 1 MiB that meets the worst pattern would otherwise cost seconds."""
    dice = random.Random(5)
    assert pattern.refusal(text) is None
    for letters in ("01", "ab", "aaaa", "až🐎ﬃ"):
        words = "".join(dice.choices(letters, k=2**20))
        for size in (2**20, pattern.text_bytes_max(text) // 4):
            values = pa.array([words[:size]])
            spent = []
            for _ in range(3):
                begin = time.thread_time()
                pattern.matches(values, text)
                spent.append(time.thread_time() - begin)
            assert min(spent) < 0.045
