"""What a sample of events suggests for a schema file. Pure.

A draft must take the events that it was made from, so whoever guesses here guesses wide: `long`
and not `int` (Delta cannot widen a column later), an enum only as a remark.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from stream_processor.schema.display import printable
from stream_processor.schema.instants import EPOCH_MICROSECONDS
from stream_processor.schema.observation import Seen
from stream_processor.schema.types import PRECISION_MAX

CERTAIN_RECORDS = 20
"""With fewer records nothing is said to be required or a key."""

_ENUM_VALUES_MAX = 12
_ENUM_RECORDS_MIN = 50
_ENUM_LETTERS_MAX = 40
_SCALE_MAX = 6  # more digits behind the point are measurements, not money
_PRECISION_MIN = 12
_HEADROOM = 4
_LONG_MAX = 2**63
_MOSTLY = 0.9

_SOUNDS_LIKE_TIME = re.compile(
    r"(?:^|_)(?:at|ts|time|timestamp|date|created|updated)(?:$|_)|(?:At|Ts|Time|Timestamp|Date)$",
)
_YEAR_2000, _YEAR_2100 = 946_684_800_000_000, 4_102_444_800_000_000  # microseconds since 1970


@dataclass(frozen=True, slots=True)
class Draft:
    """One field of the schema file to be. `notes` are for the reader, `todos` need a decision."""

    key: str
    type: str
    required: bool = False
    formats: tuple[str, ...] = ()
    timezone: str | None = None
    on_error: str | None = None
    notes: tuple[str, ...] = ()
    todos: tuple[str, ...] = ()


def draft(key: str, seen: Seen, records: int) -> Draft:
    """What the schema file should say of one key, of which this was seen in so many records."""
    made = _typed(key, seen)
    enough = records >= CERTAIN_RECORDS
    always = seen.valued == records
    notes, todos = list(made.notes), list(made.todos)
    if enough and always and not seen.many and len(seen.distinct) == records:
        if made.type in ("string", "long"):
            notes.insert(0, f"{records:,} distinct -> candidate key")
    elif made.type == "string" and (values := _enum(seen)):
        notes.insert(0, f"{len(values)} distinct: {', '.join(values)} -> enum suggested")
        todos.append(f"enum: {json.dumps(values, ensure_ascii=False)}, if these are all")
    if seen.present < records:
        notes.append(f"missing in {records - seen.present:,} -> left optional")
    elif seen.null:
        notes.append(f"null in {seen.null:,} -> left optional")
    elif always and not enough:
        notes.append(f"in all of only {records} records -> left optional")
    return Draft(
        key,
        made.type,
        required=enough and always,
        formats=made.formats,
        timezone=made.timezone,
        on_error=made.on_error,
        notes=tuple(notes),
        todos=tuple(todos),
    )


def _typed(key: str, seen: Seen) -> Draft:
    """Type, formats and remarks; the first rule that holds for all values decides."""
    if not seen.valued:
        return Draft(key, "string", todos=("only null was seen: which type is it?",))
    if seen.count("object", "array"):
        return _structured(key, seen)
    if seen.only("boolean") or (seen.kinds["boolean"] and seen.only("boolean", "flag")):
        return Draft(key, "boolean")
    if seen.only("zoned", "unzoned") or seen.only("zoned", "unzoned", "integer"):
        found = _instant(key, seen)
        if found is not None:
            return found
    if seen.only("day"):
        return Draft(key, "date")
    return _number(key, seen) or _text(key, seen)


def _structured(key: str, seen: Seen) -> Draft:
    part = f"{key}.{seen.inner}" if seen.inner else f"{key}[0]"
    names = [kind for kind in ("object", "array") if seen.kinds[kind]]
    mixed = () if seen.only("object") or seen.only("array") else ("mixed with other values",)
    hint = f"kept whole as its text; a part can be a field of its own: from: {_shown(part)}"
    return Draft(key, "json", notes=(" or ".join(names), *mixed), todos=(hint,))


def _instant(key: str, seen: Seen) -> Draft | None:
    formats: tuple[str, ...] = ()
    notes, todos = [], []
    if seen.count("zoned", "unzoned"):
        formats = ("rfc3339",)
        notes.append("RFC 3339 with offset" if seen.kinds["zoned"] else "without an offset")
    if seen.kinds["integer"]:
        unit = _epoch(key, seen)
        if unit is None:
            return None
        formats = (*formats, unit)
        notes.append(unit)
    zone = None
    if seen.kinds["unzoned"]:
        zone = "UTC"
        todos.append(f"{seen.kinds['unzoned']:,} values without an offset: is their zone UTC?")
    formats = () if formats == ("rfc3339",) else formats
    return Draft(
        key, "timestamp", formats=formats, timezone=zone, notes=tuple(notes), todos=tuple(todos)
    )


def _epoch(key: str, seen: Seen) -> str | None:
    """The unit in which all these integers are moments of this century, and the name says so."""
    if not _SOUNDS_LIKE_TIME.search(key) or seen.low is None or seen.high is None:
        return None
    for unit, microseconds in EPOCH_MICROSECONDS.items():
        if seen.low * microseconds >= _YEAR_2000 and seen.high * microseconds < _YEAR_2100:
            return unit
    return None


def _number(key: str, seen: Seen) -> Draft | None:
    """A number, if (nearly) all values are; None for what is rather a text."""
    plain = seen.count("integer", "fraction", "exponent")
    quoted = seen.count("number", "exponent text", "comma")
    if not plain and not (quoted and (seen.scale or seen.kinds["comma"])):
        return None  # digits in quotes are a name: an order number, a postal code
    if (plain + quoted) < seen.valued * _MOSTLY or plain + quoted < seen.kinds["comma"] * 2:
        return None
    odd = seen.valued - seen.count("integer", "fraction", "exponent", "number", "exponent text")
    notes, todos = [], []
    if seen.count("number", "exponent text"):
        notes.append(f"{seen.count('number', 'exponent text'):,} in quotes")
    if odd:
        what = "strings with a comma" if odd == seen.kinds["comma"] else "no numbers"
        todos.append(f"{odd:,} values are {what}: they cost the field, not the row")
    rescue = "rescue" if odd else None
    type_text = _number_type(seen)
    if type_text == "string":
        rescue, todos = None, ["numbers of more than 38 digits: kept as text"]
    unit = _epoch(key, seen) if type_text == "long" else None
    if unit is not None and seen.only("integer"):
        return Draft(key, "timestamp", formats=(unit,), notes=(unit,))
    return Draft(key, type_text, on_error=rescue, notes=tuple(notes), todos=tuple(todos))


def _number_type(seen: Seen) -> str:
    if seen.count("exponent", "exponent text") or seen.scale > _SCALE_MAX:
        return "double"
    if not seen.scale:
        low, high = seen.low or 0, seen.high or 0
        if seen.whole_digits > PRECISION_MAX:
            return "string"
        fits = low >= -_LONG_MAX and high < _LONG_MAX
        return "long" if fits else f"decimal({PRECISION_MAX},0)"
    precision = max(_PRECISION_MIN, seen.whole_digits + seen.scale + _HEADROOM)
    return "double" if precision > PRECISION_MAX else f"decimal({precision},{seen.scale})"


def _text(key: str, seen: Seen) -> Draft:
    others = seen.count("integer", "fraction", "exponent", "boolean")
    if others:
        return Draft(key, "string", todos=(f"{others:,} values are no strings: kept as text",))
    dated = seen.count("zoned", "unzoned", "day")
    if dated:
        return Draft(key, "string", todos=(f"{dated:,} values look like dates or times",))
    return Draft(key, "string")


def _enum(seen: Seen) -> list[str]:
    """The few values that many records share; empty where it is no enum."""
    few = not seen.many and 1 < len(seen.distinct) <= _ENUM_VALUES_MAX
    often = seen.valued >= max(_ENUM_RECORDS_MIN, 10 * len(seen.distinct))
    short = all(0 < len(value) <= _ENUM_LETTERS_MAX for value in seen.distinct)
    return sorted(map(_shown, seen.distinct)) if few and often and short else []


def _shown(text: str) -> str:
    return printable(text, 2 * _ENUM_LETTERS_MAX)
