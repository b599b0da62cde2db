"""What was seen of each key in a sample of events: forms, measures, distinct values. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from stream_processor.schema import instants
from stream_processor.schema.numbers import NUMBER
from stream_processor.schema.types import PRECISION_MAX
from stream_processor.schema.values import Failure

_DISTINCT_MAX = 100_000
_COMMA = re.compile(r"-?[0-9]+,[0-9]+")


class _Integer(str):
    """The text of a JSON number without fraction and exponent."""

    __slots__ = ()


class _Fraction(str):
    """The text of any other JSON number."""

    __slots__ = ()


@dataclass(slots=True)
class Seen:
    """What was seen of one top-level key. `kinds` counts the forms of its values."""

    present: int = 0
    null: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    distinct: set[str] = field(default_factory=set)
    many: bool = False
    whole_digits: int = 0
    scale: int = 0
    low: int | None = None
    high: int | None = None
    inner: str | None = None

    @property
    def valued(self) -> int:
        """How many values are not null."""
        return self.present - self.null

    def count(self, *kinds: str) -> int:
        """How many values have one of these forms."""
        return sum(self.kinds[kind] for kind in kinds)

    def only(self, *kinds: str) -> bool:
        """Whether all values have one of these forms."""
        return self.count(*kinds) == self.valued


def observe(values: Iterable[bytes | None]) -> tuple[dict[str, Seen], int, int]:
    """(what was seen by top-level key in order of appearance, objects read, others).

    Called by `infer`. Others are tombstones and whatever is no JSON object. Never raises.
    """
    seen: dict[str, Seen] = {}
    read = others = 0
    for value in values:
        event = _event(value)
        if event is None:
            others += 1
            continue
        read += 1
        for key, item in event.items():
            _note(seen.setdefault(key, Seen()), item)
    return seen, read, others


def _event(value: bytes | None) -> Mapping[str, object] | None:
    try:
        event = json.loads(
            (value or b"").decode(),
            parse_int=_Integer,
            parse_float=_Fraction,
            parse_constant=_refuse,
        )
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _refuse(name: str) -> None:
    raise ValueError(name)


def _note(seen: Seen, item: object) -> None:
    seen.present += 1
    if item is None:
        seen.null += 1
        return
    kind = _kind(item)
    seen.kinds[kind] += 1
    if isinstance(item, dict | list):
        seen.many = True
        seen.inner = next(iter(item), None) if isinstance(item, dict) else None
        return
    text = str(item)
    if kind in ("integer", "fraction", "number"):
        _measure(seen, text)
    if len(seen.distinct) < _DISTINCT_MAX:
        seen.distinct.add(text)
    elif text not in seen.distinct:
        seen.many = True


def _kind(item: object) -> str:
    if isinstance(item, bool):
        return "boolean"
    if isinstance(item, dict):
        return "object"
    if isinstance(item, list):
        return "array"
    if isinstance(item, _Integer):
        return "integer"
    if isinstance(item, _Fraction):
        return "exponent" if "e" in item.lower() else "fraction"
    return _text_kind(str(item))


def _text_kind(text: str) -> str:
    if not isinstance(instants.timestamp(text, None), Failure):
        return "zoned"
    if not isinstance(instants.timestamp(text, 0), Failure):
        return "unzoned"
    if not isinstance(instants.day(text), Failure):
        return "day"
    if NUMBER.fullmatch(text):
        return "exponent text" if "e" in text.lower() else "number"
    if _COMMA.fullmatch(text):
        return "comma"
    return "flag" if text in ("true", "false") else "text"


def _measure(seen: Seen, text: str) -> None:
    whole, _, behind = text.lstrip("-").partition(".")
    seen.whole_digits = max(seen.whole_digits, len(whole))
    seen.scale = max(seen.scale, len(behind))
    if not behind and len(whole) <= PRECISION_MAX:  # longer ones fit into no number of Delta
        number = int(text)
        seen.low = number if seen.low is None else min(seen.low, number)
        seen.high = number if seen.high is None else max(seen.high, number)
