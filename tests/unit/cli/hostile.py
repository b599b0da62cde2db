"""Text that strangers may write into events, tables and files, and what must never get through."""

from __future__ import annotations

import re

NASTY = "\x1b]52;c;aGk=\x07\x1b[2J[/b][link=x]\u202eevil\u2066\x00\x9b31m\x7f\u200b"
"""ESC, OSC 52, a C1 control, markup, bidirectional overrides, NUL, DEL and a zero width space."""

_ACTING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


def assert_harmless(text: str) -> None:
    """No letter of the text acts on a terminal; only line breaks are left of the controls."""
    found = _ACTING.search(text)
    assert found is None, f"{found[0]!r} in {text[max(0, found.start() - 60) : found.end() + 20]!r}"


def assert_no_markup(text: str) -> None:
    """No tag of the library that draws the terminal is left either."""
    assert "[/b]" not in text
    assert "[link" not in text
