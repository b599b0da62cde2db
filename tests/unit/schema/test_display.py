"""`printable`: nothing that a stranger wrote may act on the terminal of the person who reads it."""

import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from stream_processor.schema.display import printable

ESC = "\x1b"
HOSTILE = [
    f"{ESC}[31mred",
    f"{ESC}]52;c;aGVsbG8=\x07",
    "\x9b31m",
    "[/b]",
    "[bold]x[/bold]",
    "[link=http://example.org]x[/link]",
    "[@click=app.quit]x",
    "\u202egnp.exe",
    "\u2066a\u2069",
    "a\u200bb\ufeffc\u00adc",
    "nul\x00del\x7f",
    "line\u2028paragraph\u2029",
    "\ud800lone",
    "\U000e0041tag",
    "\u3164\ufe0f\u2800blank",
]

anything = st.text(st.characters(codec=None), max_size=80) | st.sampled_from(HOSTILE)
limits = st.integers(0, 60)


def only_visible(text: str) -> bool:
    return all(c == " " or unicodedata.category(c)[0] in "LMNPS" for c in text)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (b"caf\xc3\xa9", "café"),
        (b"\xff\xfea", r"\xff\xfea"),
        (f"{ESC}]52;c;x\x07", r"\x1b]52;c;x\x07"),
        ("\x85\xa0\x7f", r"\x85\xa0\x7f"),
        ("a\r\n\tb", r"a\r\n\tb"),
        ("\u202e\u200b", r"\u202e\u200b"),
        ("\udc80", r"\udc80"),
        (b"\x80", r"\x80"),
        ("\U000e0041", r"\U000e0041"),
        ("[/b]", r"\x5b/b]"),
        ('{"a": [1, "x"], "b": [{}]}', '{"a": [1, "x"], "b": [{}]}'),
        ('{"path": "C:\\\\tmp"}', '{"path": "C:\\\\tmp"}'),
        ("open [", r"open \x5b"),
        ("", ""),
    ],
)
def test_each_kind_of_danger_has_its_own_readable_escape(
    source: str | bytes, expected: str
) -> None:
    """The person must still recognise the event, so harmless text stays as it is."""
    assert printable(source, 100) == expected


@given(anything | st.binary(max_size=80), limits)
def test_the_output_is_visible_and_bounded_whatever_comes_in(
    source: str | bytes, limit: int
) -> None:
    """One forgotten category would let an event move the cursor or write the clipboard."""
    shown = printable(source, limit)
    assert only_visible(shown)
    assert len(shown) <= limit
    shown.encode("utf-8")


@given(anything | st.binary(max_size=80), limits)
def test_passing_a_result_again_changes_nothing(source: str | bytes, limit: int) -> None:
    """A reason passes through an error, a log line and a table: it must not grow each time."""
    once = printable(source, limit)
    assert printable(once, limit) == once


@given(anything, anything)
def test_rich_sees_no_markup_even_where_markup_is_on(left: str, right: str) -> None:
    """A verb that forgets `markup=False` must neither crash on `[/b]` nor obey it."""
    shown = f"{printable(left, 200)} b] /b] {printable(right, 200)}"
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system=None, width=10_000, emoji=False)
    console.print(shown, highlight=False, soft_wrap=True)
    assert out.getvalue() == shown + "\n"


@pytest.mark.parametrize("text", HOSTILE)
def test_each_hostile_text_is_plain_letters_afterwards(text: str) -> None:
    """The named attacks, so that a failure says which one came through."""
    shown = printable(text, 200)
    assert only_visible(shown)
    assert shown != text


@given(st.text(st.characters(categories=["L", "N"], max_codepoint=0x24F), max_size=50))
def test_safe_text_is_unchanged(text: str) -> None:
    """Names and plain words must come out as they are."""
    assert printable(text, 50) == text


def test_a_cut_never_splits_an_escape() -> None:
    """Half an escape would read as something that the event does not hold."""
    shown = {limit: printable("ab\x1bcd", limit) for limit in range(9)}
    assert shown == {
        0: "", 1: "…", 2: "a…", 3: "ab…", 4: "ab…", 5: "ab…", 6: "ab…", 7: r"ab\x1b…",
        8: r"ab\x1bcd",
    }  # fmt: skip


def test_bytes_cut_inside_a_letter_do_not_show_an_invalid_byte() -> None:
    """Only the beginning of a large value is decoded; the border must not invent corruption."""
    for lead in range(8):
        shown = printable(b"a" * lead + "😀é€".encode() * 1000, 9)
        assert shown.endswith("…")
        assert "\\x" not in shown
