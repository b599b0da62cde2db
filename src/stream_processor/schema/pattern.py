"""`pattern`: RE2 against the whole string, by Arrow's compute functions."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

_LENGTH_MAX = 1_000


def refusal(text: str) -> str | None:
    """Why a pattern cannot be used, as a sentence for its author; None when it can."""
    if len(text) > _LENGTH_MAX:
        return f"at most {_LENGTH_MAX} characters"
    empty = pa.array([""], pa.string())
    try:
        pc.match_substring_regex(empty, text)
        matches(empty, text)
    except pa.ArrowInvalid:
        return "not RE2 syntax (look-around and back-references do not exist there)"
    return None


def matches(texts: pa.Array, text: str) -> pa.Array:
    """One boolean per string: does the pattern match all of it? Null stays null."""
    return pc.match_substring_regex(texts, rf"\A(?:{text})\z")
