"""Is a value an event at all? The order of the checks is that of records.md, 2.

msgspec's scanner is strict (a property test holds it against a slow parser), so it judges syntax
in C; only what it cannot be trusted with is judged here: UTF-8, depth, and naming the place.
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec
import numpy as np

from stream_processor.processor.excerpt import visible
from stream_processor.processor.plan import PlanOptions
from stream_processor.processor.rejection import Problem, Rejection

_BLANK = b" \t\n\r"
_BOM = b"\xef\xbb\xbf"
_KINDS = {0x5B: "array", 0x22: "string", 0x74: "boolean", 0x66: "boolean", 0x6E: "null"}
_BYTE = re.compile(r"\(byte ([0-9]+)\)$")
_LONE_SURROGATE = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])")
_EXCERPT_BYTES = 16
_OBJECT = "a JSON object"
_CLOSING = bytes.maketrans(b"[{", b"]}")
_scan = msgspec.json.Decoder(msgspec.Raw).decode


def fault(value: bytes | None, options: PlanOptions) -> Rejection | None:
    """The first reason why the value is no JSON object that we read; None when it is one."""
    if value is None:
        return _fixed("record.tombstone", "the record has no value (a tombstone)", None)
    size, limit = len(value), options.max_record_bytes
    if size > limit:
        problem = Problem("record.too_large", None, f"at most {limit} bytes", f"{size} bytes")
        said = "the value has {} bytes, at most {} are allowed"
        return Rejection(problem, said.format(0, limit), said.format(size, limit))
    return _encoding_fault(value) or _json_fault(value, options)


def _encoding_fault(value: bytes) -> Rejection | None:
    if not value.strip(_BLANK):
        return _fixed("record.empty", "the value is empty or only white space", None)
    if value.startswith(_BOM):
        return _fixed("encoding.bom", "the value begins with a byte order mark", "EF BB BF")
    if value[0] == 0:
        message = "the value begins with a zero byte: looks like schema-registry framing"
        return _fixed("encoding.registry_framing", message, "00")
    try:
        value.decode()
    except UnicodeDecodeError as error:
        problem = Problem("encoding.utf8", None, "UTF-8", f"{value[error.start]:02X}")
        return _at(problem, "not UTF-8 at byte ", error.start)
    return None


def _json_fault(value: bytes, options: PlanOptions) -> Rejection | None:
    deep = too_deep(value, options)
    if deep is not None:
        return deep
    try:
        _scan(value)
    except msgspec.DecodeError as error:
        return _syntax_rejection(value, error, options)
    first = value.lstrip(_BLANK)[0]
    if first == 0x7B:
        return None
    kind = _KINDS.get(first, "number")
    return _fixed("json.not_object", f"the top level is not an object but: {kind}", kind)


def too_deep(value: bytes, options: PlanOptions) -> Rejection | None:
    """A rejection for a text that is nested too deep, if it is valid up to there."""
    deep = first_bracket_beyond(value, options.max_depth)
    if deep is None:
        return None
    problem = Problem("json.too_deep", None, f"at most {options.max_depth} levels", None)
    return _at(problem, f"nested deeper than {options.max_depth} at byte ", deep)


@lru_cache(maxsize=64)
def _fixed(code: str, message: str, actual: str | None) -> Rejection:
    """A rejection that is the same for all events with this fault."""
    return Rejection(Problem(code, None, _OBJECT, actual), message, message)


def _at(problem: Problem, saying: str, place: int) -> Rejection:
    """Of all the places of one fault the pattern is the same."""
    return Rejection(problem, f"{saying}0", f"{saying}{place}")


def _syntax_rejection(value: bytes, error: msgspec.DecodeError, options: PlanOptions) -> Rejection:
    place, what = _place(value, str(error))
    excerpt = visible(value[place : place + _EXCERPT_BYTES]) or None
    actual = None if options.preview_mask else excerpt  # no telling what broken text belongs to
    problem = Problem("json.syntax", None, "JSON", actual)
    return _at(problem, f"not JSON: {what} at byte ", place)


def _place(value: bytes, library_message: str) -> tuple[int, str]:
    """The byte where the text stops being JSON, and what is wrong there in our words."""
    found = _BYTE.search(library_message)
    if found:
        # Of text behind the end the library names the byte after the first one.
        place = int(found[1]) - ("trailing characters" in library_message)
        return min(place, len(value)), "unexpected text"
    # The library calls two things truncated: a lone surrogate escape, and a text that just ends.
    lone = _LONE_SURROGATE.search(value.replace(b"\\\\", b"__"))
    if lone:
        return lone.start(), "lone surrogate escape"
    return len(value), "the text ends too early"


def first_bracket_beyond(value: bytes, max_depth: int) -> int | None:
    """Where valid JSON opens one level too many; None if a syntax error comes before, or never.

    All brackets at once, so that a value full of them stays cheap: escapes are blanked, then the
    parity of the quotes tells what is inside a string. Behind a syntax error that reading may be
    wrong, which is why the text up to the bracket is closed by hand and scanned.
    """
    if value.count(b"[") + value.count(b"{") <= max_depth:
        return None
    plain = value.replace(b"\\\\", b"__").replace(b'\\"', b"__")
    data = np.frombuffer(plain, np.uint8)
    outside = (np.cumsum(data == 0x22, dtype=np.uint8) & 1) == 0
    folded = data | 0x20
    places = np.flatnonzero(outside & ((folded == 0x7B) | (folded == 0x7D)))
    opens = folded[places] == 0x7B
    depth = np.cumsum(np.where(opens, 1, -1))
    beyond = np.flatnonzero(depth > max_depth)
    if not len(beyond):
        return None
    first = int(beyond[0])
    closers = _closers(data[places[: first + 1]], opens[: first + 1], depth[: first + 1])
    deep = int(places[first])
    try:
        _scan(value[: deep + 1] + closers)
    except msgspec.DecodeError:
        return None
    return deep


def _closers(
    brackets: np.ndarray[tuple[int], np.dtype[np.uint8]],
    opens: np.ndarray[tuple[int], np.dtype[np.bool_]],
    depth: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> bytes:
    """What closes every bracket that is open at the end: the last opener of each level decides."""
    last = np.zeros(int(depth[-1]) + 1, dtype=np.uint8)
    level = np.maximum(depth[opens], 0)
    last[level] = brackets[opens]  # of repeated indexes the last one stays
    return last[:0:-1].tobytes().translate(_CLOSING)
