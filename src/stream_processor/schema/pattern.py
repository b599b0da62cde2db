"""`pattern`: RE2 against the whole string, by Arrow's compute functions.

RE2 is linear in the text, but each byte may cost as many steps as the pattern has places to be in
(`.*a.{1000}` needs 4 microseconds per byte), and Arrow compiles it anew for every call. So the
places of a pattern are bounded, and they bound the text: a longer one does not match.
"""

from __future__ import annotations

import re
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

_LENGTH_MAX = 1_000
_PLACES_MAX = 2_000
_PLACES_OF_UNICODE = 30  # `\\pL` alone takes 0.4 ms to compile
_STEPS_MAX = 5_000_000  # of up to 6 nanoseconds each: 30 ms of the 50 that a record may cost
_PLACE = re.compile(
    r"(?P<open>\((?:\?[^():<>]*:|\?P?<\w+>)?)"
    r"|(?:(?P<close>\))|(?P<unicode>\\[pP](?:\{[^}]*\}|.))|\\."
    r"|\[\^?\]?(?P<inside>(?:\\.|\[:\^?\w+:\]|[^\]\\])*)\]|.)"
    r"(?:\{(?P<least>[0-9]+),?(?P<most>[0-9]*)\})?",
    re.DOTALL,
)


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
    if places(text) > _PLACES_MAX:
        return "too large: its letters and classes, times their repetitions, are too many"
    return None


def mask_refusal(text: str) -> str | None:
    """The same for a pattern that hides what it finds within a text: it must find something."""
    why = refusal(text)
    if why is None and pc.match_substring_regex(pa.array([""], pa.string()), text)[0].as_py():
        return "it matches where there is nothing; write what is to be hidden, like [0-9]{13,19}"
    return why


def matches(texts: pa.Array, text: str) -> pa.Array:
    """One boolean per string: does the pattern match all of it? Null stays null.

    A string of more than `text_bytes_max(text)` bytes does not match.
    """
    limit = text_bytes_max(text)
    whole = rf"\A(?:{text})\z"
    if len(texts) * limit == 0 or texts.nbytes <= limit:
        return pc.match_substring_regex(texts, whole)
    fitting = pc.less_equal(pc.binary_length(texts), pa.scalar(limit, pa.int32()))
    short = pc.if_else(fitting, texts, pa.scalar("", pa.string()))
    return pc.and_(pc.match_substring_regex(short, whole), fitting)


def text_bytes_max(text: str) -> int:
    """How long a text a pattern may be matched with: 1 MiB for one of few places."""
    return _STEPS_MAX // places(text)


@lru_cache(maxsize=1024)
def places(text: str) -> int:
    """How large a pattern is: its letters and classes, times their counted repetitions."""
    outer: list[int] = []
    here = 0
    for found in _PLACE.finditer(text):
        if found["open"]:
            outer.append(here)
            here = 0
            continue
        times = max(int(found["least"] or 1), int(found["most"] or 1))
        if found["close"] and outer:
            here = outer.pop() + here * times
        else:
            here += times * _weight(found)
    return max(1, here + sum(outer))


def _weight(found: re.Match[str]) -> int:
    named = bool(found["unicode"]) + len(re.findall(r"\\[pP]", found["inside"] or ""))
    return _PLACES_OF_UNICODE * named or 1
