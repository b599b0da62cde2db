"""Dates and timestamps: RFC 3339 texts and epochs to days and microseconds since 1970, UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from stream_processor.schema.values import Failure, Value

EPOCH_MICROSECONDS = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}
"""Microseconds in one unit of each epoch format."""

DAY_MICROSECONDS = 86_400_000_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()

FIRST_DAY = date.min.toordinal() - _EPOCH_ORDINAL
LAST_DAY = date.max.toordinal() - _EPOCH_ORDINAL
"""The days of the years 0001 to 9999: outside of them no reader agrees with another."""

_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_INSTANT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(?:\.([0-9]+))?([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)
_OFFSET = re.compile(r"[+-]([01][0-9]|2[0-3]):[0-5][0-9]")


def offset_minutes(text: str) -> int | None:
    """Minutes east of UTC that `Z`, `UTC` or `+02:00` mean; None when it is none of them."""
    if text in ("Z", "z", "UTC"):
        return 0
    if _OFFSET.fullmatch(text) is None:
        return None
    minutes = int(text[1:3]) * 60 + int(text[4:6])
    return -minutes if text[0] == "-" else minutes


def timestamp(text: str, zone_minutes: int | None) -> int | Failure:
    """Microseconds of an RFC 3339 text; digits below the microsecond are cut.

    `zone_minutes` stands in for a missing offset; None: there must be one.
    """
    match = _INSTANT.fullmatch(text)
    if match is None:
        return Failure.FORMAT
    offset = offset_minutes(match[8]) if match[8] else zone_minutes
    if offset is None:
        return Failure.FORMAT
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    if hour > 23 or minute > 59 or second > 59:
        return Failure.FORMAT
    days = _days(year, month, day)
    if days is None:
        return Failure.FORMAT
    seconds = days * 86_400 + hour * 3_600 + (minute - offset) * 60 + second
    return within_years(seconds * 1_000_000 + int((match[7] or "0")[:6].ljust(6, "0")))


def within_years(microseconds: int) -> int | Failure:
    """The instant, if it lies in the years 0001 to 9999."""
    day_of_it = microseconds // DAY_MICROSECONDS
    return microseconds if FIRST_DAY <= day_of_it <= LAST_DAY else Failure.RANGE


def epoch(count: int, unit: str) -> int | Failure:
    """Microseconds of so many `unit`s since 1970."""
    return within_years(count * EPOCH_MICROSECONDS[unit])


def day(text: str) -> int | Failure:
    """Days since 1970-01-01 of `YYYY-MM-DD`."""
    match = _DATE.fullmatch(text)
    days = _days(*map(int, match.groups())) if match else None
    return Failure.FORMAT if days is None else days


def midnight(text: str) -> int | Failure:
    """Days since 1970-01-01 of a timestamp text that is exactly midnight UTC."""
    instant = timestamp(text, None)
    if isinstance(instant, Failure):
        return instant
    match = _INSTANT.fullmatch(text)
    below = match[7] if match else None
    if instant % DAY_MICROSECONDS or (below and below.strip("0")):
        return Failure.FORMAT
    return instant // DAY_MICROSECONDS


def _days(year: int, month: int, day_of_month: int) -> int | None:
    try:
        return date(year, month, day_of_month).toordinal() - _EPOCH_ORDINAL
    except ValueError:
        return None


def in_words(value: Value, kind: str) -> str:
    """A value of a column as its schema file would spell it; for the texts of dead letters."""
    if kind == "date" and isinstance(value, int):
        return (date(1970, 1, 1) + timedelta(days=value)).isoformat()
    if kind == "timestamp" and isinstance(value, int):
        return (_EPOCH + timedelta(microseconds=value)).isoformat().replace("+00:00", "Z")
    return str(value).lower() if isinstance(value, bool) else str(value)
