"""`preview_mask` hides by path and by pattern, wherever a value is shown, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stream_processor.errors import ConfigurationError
from stream_processor.processor.excerpt import (
    ACTUAL_BYTES,
    MASK,
    PREVIEW_BYTES,
    masked,
    preview,
    shown,
)
from stream_processor.schema.masks import Masks
from tests import builders

CARD = r"re:\b[0-9]{4}(?:[ -]?[0-9]{4}){3}\b"
MAIL = r"re:[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+"
NUMBER, ADDRESS = "4111-1111-1111-1111", "erika@example.com"
FIELDS: list[dict[str, Any]] = [
    {"name": "id", "type": "long", "required": True},
    {"name": "note", "type": "int"},
]


def letter(value: bytes, **options: Any) -> dict[str, Any]:
    (found,) = builders.judge([value], builders.plan(FIELDS, **options)).dead.to_pylist()
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    "value",
    [
        b'{"id":"%s","note":"%s"}',
        b'{"id":1,"note":"call %s, or %s"}',
        b'{"id":"x","extra":["%s",{"%s":1}]}',
        b'{"id":"x","extra":"\xc3\xa4 %s %s"}',
        b'{"id":%s,"note":"%s"',
        b'\xff{"id":"%s","note":"%s"}',
        b"%s %s",
    ],
)
@pytest.mark.parametrize("unknown", ["rescue", "reject"])
def test_what_a_pattern_finds_is_nowhere(value: bytes, unknown: str) -> None:
    """Nobody can list the fields in which a person may write a card number."""
    event = value % (NUMBER.encode(), ADDRESS.encode())
    found = letter(event, preview_mask=(CARD, MAIL), unknown_fields=unknown)
    assert found.pop("value") == event
    assert NUMBER not in repr(found)
    assert ADDRESS not in repr(found)
    assert MASK in repr(found)


def test_the_rest_stays_readable() -> None:
    """A preview that hides everything is no help."""
    found = letter(b'{"id":"%s!","note":7}' % NUMBER.encode(), preview_mask=(CARD,))
    assert found["value_preview"] == '{"id":"***!","note":7}'
    assert found["actual"] == '"***!"'
    assert found["problems"][0]["actual"] == '"***!"'
    assert found["message"] == 'id is not long: `"***!"`'


def test_paths_and_patterns_together() -> None:
    """One list for both: what begins with `re:` is a pattern."""
    value = b'{"id":"x","note":"%s","mail":"%s"}' % (NUMBER.encode(), ADDRESS.encode())
    found = letter(value, preview_mask=("note", MAIL))
    assert found["value_preview"] == '{"id":"x","note":***,"mail":"***"}'


@given(st.integers(0, 40), st.text(max_size=3))
@example(20, "ä")
def test_no_half_of_it_is_left_at_a_cut(back: int, filling: str) -> None:
    """A number across the end of a preview would not look like one any more."""
    masks = Masks(patterns=(CARD.removeprefix("re:"),))
    for limit, show in ((PREVIEW_BYTES, _preview), (ACTUAL_BYTES, shown)):
        before = filling.encode() + b" " * (limit - back)
        text = show(before + NUMBER.encode() + b" and more", masks)
        assert "4111" not in text
        assert len(text.encode()) <= limit + 4 * len(filling)


def _preview(value: bytes, masks: Masks) -> str:
    return preview(value, masks, "validate")


def test_many_numbers_are_all_hidden_in_what_show_prints() -> None:
    """`dlq show` prints the whole value, not only its beginning."""
    masks = Masks(patterns=("[0-9]{16}",))
    value = b'["' + b'","'.join([b"4" * 16] * 5_000) + b'"]'
    assert masked(value, masks, "validate").count(b"***") == 5_000


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("re:", "matches where there is nothing"),
        ("re:[0-9]*", "matches where there is nothing"),
        ("re:(?=x)", "RE2"),
        ("re:(", "RE2"),
        (r"re:(x)\1", "RE2"),
        ("re:" + "x" * 1001, "1000 characters"),
        ("re:" + "[a-z]{400}" * 6, "too large"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_refused_at_the_start(pattern: str, why: str) -> None:
    """A mask that hides nothing would be noticed when it is too late."""
    with pytest.raises(ConfigurationError, match=why):
        builders.plan(FIELDS, preview_mask=(pattern,))
