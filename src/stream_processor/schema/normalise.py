"""Normalisation of strings before they are converted: one pure function per rule."""

from __future__ import annotations

import re
from collections.abc import Callable

WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680"
    + "".join(map(chr, range(0x2000, 0x200B)))
    + ("\u2028\u2029\u202f\u205f\u3000")
)
"""Every character with Unicode's White_Space property (`str.isspace` adds U+001C to U+001F)."""

_RUN = re.compile(f"[{WHITE_SPACE}]+")
_PYTHON_ONLY = re.compile("[\x1c-\x1f]")


def _trim(text: str) -> str:
    return text.strip(WHITE_SPACE)


def _collapse_spaces(text: str) -> str:
    if _PYTHON_ONLY.search(text):
        return _RUN.sub(" ", text)
    # The same by `split`, several times faster, where the two notions of white space agree.
    words = " ".join(text.split())
    if not words:
        return " " if text else ""
    return " " * text[0].isspace() + words + " " * text[-1].isspace()


_RULES: dict[str, Callable[[str], str]] = {
    "trim": _trim,
    "lower": str.lower,
    "upper": str.upper,
    "collapse_spaces": _collapse_spaces,
}


def normalise(text: str, rules: tuple[str, ...]) -> str | None:
    """Apply the rules in order; None when `empty_to_null` met an empty string."""
    for rule in rules:
        if rule == "empty_to_null":
            if not text:
                return None
        else:
            text = _RULES[rule](text)
    return text
