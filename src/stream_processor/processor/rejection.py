"""Why an event is no row: its problems, and one sentence for a person."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

PROBLEMS_MAX = 1_000
"""No event lists more problems than this: work per record is bounded."""

_SHOWN_CHARACTERS = 60

_STAGES = {
    "encoding": "decode",
    "record": "decode",
    "json": "parse",
    "field": "validate",
    "transform": "transform",
    "write": "write",
}


class Problem(NamedTuple):
    """One reason; the columns of `schema.records.PROBLEM`."""

    code: str
    field_path: str | None
    expected: str | None
    actual: str | None


class Rejection(NamedTuple):
    """The reason that decides, and all else that is said of it, which a flood does not ask for.

    `pattern` is the sentence without what changes from event to event, for the fingerprint.
    `sentence` is None where the problem itself gives it; `others` finds those behind it.
    """

    first: Problem
    pattern: str
    sentence: str | None = None
    others: Callable[[], Iterable[Problem]] = tuple

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All reasons, the one that decides first."""
        return (self.first, *self.others())

    @property
    def message(self) -> str:
        """One sentence for a person."""
        if self.sentence is not None:
            return self.sentence
        if self.first.code in _SAYINGS:
            return self.pattern
        shown = (self.first.actual or "").replace("`", "'")[:_SHOWN_CHARACTERS]
        return f"{self.pattern[:-1]}{shown}`"


def stage_of(code: str) -> str:
    """Where an event with this code failed: decode, parse, validate, transform or write."""
    return _STAGES[code.partition(".")[0]]


NEVER_FETCHED = Rejection(
    Problem("record.too_large", None, "a record that can be fetched", None),
    pattern="the record is too large to be fetched from Kafka: nothing but its offset is known",
    sentence="the record is too large to be fetched from Kafka: nothing but its offset is known",
)
"""Why a record that the source marked `records.NOT_FETCHED` is no row."""


_SAYINGS = {
    "field.missing": "is missing, expected {expected}",
    "field.null": "is null, expected {expected}",
    "field.unknown": "is not in the schema",
}


def of_field(first: Problem, others: Callable[[], Iterable[Problem]] = tuple) -> Rejection:
    """A rejection for problems with fields; the first one decides and speaks."""
    return Rejection(first, _pattern(first.code, first.field_path, first.expected), None, others)


@lru_cache(maxsize=1024)
def _pattern(code: str, field_path: str | None, expected: str | None) -> str:
    saying = _SAYINGS.get(code, "is not {expected}: `{actual}`")
    return f"{field_path} {saying.format(expected=expected, actual='')}"
