"""Why an event is no row: its problems, and one sentence for a person."""

from __future__ import annotations

from typing import NamedTuple

PROBLEMS_MAX = 1_000
"""No event lists more problems than this: work per record is bounded."""

_SHOWN_CHARACTERS = 60

_STAGES = {"encoding": "decode", "record": "decode", "json": "parse", "field": "validate"}


class Problem(NamedTuple):
    """One reason; the columns of `schema.records.PROBLEM`."""

    code: str
    field_path: str | None
    expected: str | None
    actual: str | None


class Rejection(NamedTuple):
    """All reasons, the one that decides first, the sentence, and what of the sentence is fixed.

    `pattern` is the sentence without what changes from event to event, for the fingerprint.
    """

    problems: tuple[Problem, ...]
    message: str
    pattern: str

    @property
    def stage(self) -> str:
        """Where it failed: decode, parse or validate."""
        return _STAGES[self.problems[0].code.partition(".")[0]]


_UNSEEN = "the record is too large to be fetched from Kafka: nothing but its offset is known"

NEVER_FETCHED = Rejection(
    (Problem("record.too_large", None, "a record that can be fetched", None),), _UNSEEN, _UNSEEN
)
"""Why a record that the source marked `records.NOT_FETCHED` is no row."""


_SAYINGS = {
    "field.missing": "is missing, expected {expected}",
    "field.null": "is null, expected {expected}",
    "field.unknown": "is not in the schema",
}


def of_problems(problems: list[Problem]) -> Rejection:
    """A rejection for problems with fields; the first one decides and speaks."""
    first = problems[0]
    saying = _SAYINGS.get(first.code, "is not {expected}: `{actual}`")
    pattern = f"{first.field_path} {saying.format(expected=first.expected, actual='')}"
    if "{actual}" not in saying:
        return Rejection(tuple(problems), pattern, pattern)
    shown = (first.actual or "").replace("`", "'")[:_SHOWN_CHARACTERS]
    return Rejection(tuple(problems), f"{pattern[:-1]}{shown}`", pattern)
