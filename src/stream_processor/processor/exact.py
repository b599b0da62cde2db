"""The exact path: judges one value by every rule, and alone names codes (records.md, 2 to 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import msgspec
import pyarrow as pa

from stream_processor.processor import excerpt
from stream_processor.processor.plan import Plan
from stream_processor.processor.rejection import PROBLEMS_MAX, Problem, Rejection, of_problems
from stream_processor.processor.syntax import fault
from stream_processor.schema.convert import Converter, converter
from stream_processor.schema.event import EventField
from stream_processor.schema.paths import Path
from stream_processor.schema.pattern import matches
from stream_processor.schema.values import Failure, Value

_TEXT_MAX = 200

Members = Mapping[str, msgspec.Raw]
Check = Callable[[Value], tuple[str, str] | None]
"""The code and what was expected of a value that breaks a rule; None when it breaks none."""

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Row:
    """The values of the schema's columns in their order, and what is kept beside them."""

    values: tuple[Value | None, ...]
    rescued: bytes | None


class Judge:
    """All rules of one plan, ready to judge values. Made by `judge_of`; has no state."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._fields = [
            (field, converter(field, plan.options.coerce), _check(field))
            for field in plan.schema.fields
        ]
        self._whole = {field.path[0] for field in plan.schema.fields if len(field.path) == 1}
        self._named = {field.path[0] for field in plan.schema.fields}

    def judge(self, value: bytes | None) -> Row | Rejection:
        """One value: a row, or every reason why it is none.

        Fields with `on_error: rescue` never make a record fail, so they are not among the reasons.
        """
        broken = fault(value, self._plan.options)
        if broken is not None:
            return broken
        assert value is not None  # a tombstone is a fault
        members = _members(value)
        found: dict[Path, bytes | None] = {}
        values: list[Value | None] = []
        problems: list[Problem] = []
        soft: set[str] = set()
        for field, convert, check in self._fields:
            outcome = self._read(field, convert, check, _find(members, field.path, found))
            if isinstance(outcome, Problem):
                if field.on_error == "rescue":
                    soft.add(str(field.path[0]))
                else:
                    problems.append(outcome)
                outcome = None
            values.append(outcome)
        if self._plan.options.unknown_fields == "reject":
            problems += self._unknown(members)
        if problems:
            return of_problems(problems[:PROBLEMS_MAX])
        return Row(tuple(values), self._rescued(members, soft) if self._plan.rescues else None)

    def _read(
        self, field: EventField, convert: Converter, check: Check, token: bytes | None
    ) -> Value | Problem | None:
        if token is None:
            if field.required:
                return Problem("field.missing", field.path_text, field.expected, None)
            return field.default
        outcome = convert(token)
        if outcome is None:
            if field.required:
                return Problem("field.null", field.path_text, field.expected, "null")
            return None
        if isinstance(outcome, Failure):
            return self._problem((outcome.value, field.expected), field, token)
        broken = check(outcome)
        return outcome if broken is None else self._problem(broken, field, token)

    def _problem(self, broken: tuple[str, str], field: EventField, token: bytes) -> Problem:
        keys = tuple(step for step in field.path if isinstance(step, str))
        actual = excerpt.actual(token, keys, self._plan.masks)
        return Problem(broken[0], field.path_text, broken[1], actual)

    def _unknown(self, members: Members) -> list[Problem]:
        unknown = [key for key in members if key not in self._named]
        return [
            Problem(
                "field.unknown",
                excerpt.visible(key.encode())[:_TEXT_MAX],
                "a field of the schema",
                excerpt.actual(bytes(members[key]), (key,), self._plan.masks),
            )
            for key in unknown[:PROBLEMS_MAX]
        ]

    def _rescued(self, members: Members, soft: set[str]) -> bytes | None:
        unread = self._plan.options.unknown_fields == "rescue"
        kept = {
            key: token
            for key, token in members.items()
            if key in soft or (unread and key not in self._whole)
        }
        return _encode(kept) if kept else None


@lru_cache(maxsize=16)
def judge_of(plan: Plan) -> Judge:
    """The judge of a plan, made once."""
    return Judge(plan)


def _find(members: Members, path: Path, found: dict[Path, bytes | None]) -> bytes | None:
    """The text at a path; None when anything but the needed object or array is in the way.

    `found` remembers what this record has at every path that was asked for, since each step reads
    the text below it once more.
    """
    if path not in found:
        if len(path) == 1:
            token = members.get(str(path[0]))
            found[path] = None if token is None else bytes(token)
        else:
            found[path] = _step(_find(members, path[:-1], found), path[-1])
    return found[path]


def _step(text: bytes | None, step: str | int) -> bytes | None:
    if text is None:
        return None
    if isinstance(step, str):
        token = _members(text).get(step) if text[0] == 0x7B else None
        return None if token is None else bytes(token)
    items = _items(text) if text[0] == 0x5B else []
    return bytes(items[step]) if step < len(items) else None


def _check(field: EventField) -> Check:
    """enum, pattern, minimum, maximum, in this order."""
    rules: list[tuple[Callable[[Value], bool], tuple[str, str]]] = []
    if field.enum is not None:
        allowed = frozenset(field.enum)
        listed = f"one of {', '.join(map(str, field.enum))}"[:_TEXT_MAX]
        rules.append((lambda value: value not in allowed, ("field.enum", listed)))
    if (pattern := field.pattern) is not None:
        described = f"text that matches {pattern}"[:_TEXT_MAX]
        rules.append((lambda value: not _fits(pattern, value), ("field.pattern", described)))
    if (low := field.minimum) is not None:
        least = ("field.range", f"at least {low!s}")
        rules.append((lambda value: value < low, least))  # type: ignore[operator]  # one type
    if (high := field.maximum) is not None:
        most = ("field.range", f"at most {high!s}")
        rules.append((lambda value: value > high, most))  # type: ignore[operator]  # one type

    def check(value: Value) -> tuple[str, str] | None:
        return next((why for broken, why in rules if broken(value)), None)

    return check


def _fits(pattern: str, value: Value) -> bool:
    return bool(matches(pa.array([value], pa.string()), pattern)[0].as_py())
