"""The exact path: judges one value by every rule, and alone names codes (records.md, 2 to 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import msgspec
import pyarrow as pa

from stream_processor.processor import excerpt
from stream_processor.processor.plan import Plan
from stream_processor.processor.rejection import PROBLEMS_MAX, Problem, Rejection
from stream_processor.processor.syntax import fault
from stream_processor.schema.convert import Outcome, converter
from stream_processor.schema.event import EventField
from stream_processor.schema.paths import Path
from stream_processor.schema.pattern import matches
from stream_processor.schema.values import Failure, Value

Tokens = Mapping[str, msgspec.Raw]

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_key_text = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Row:
    """The values of the schema's columns in their order, and what is kept beside them."""

    values: tuple[Value | None, ...]
    rescued: str | None


class Judge:
    """All rules of one plan, ready to judge values. Made once per plan by `judge_of`; no state."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._fields = [
            (field, converter(field, plan.options.coerce), _checks(field))
            for field in plan.schema.fields
        ]
        self._whole = {field.path[0] for field in plan.schema.fields if len(field.path) == 1}
        self._named = {field.path[0] for field in plan.schema.fields}

    def judge(self, value: bytes | None) -> Row | Rejection:
        """One value: a row, or every reason why it is none."""
        broken = fault(value, self._plan.options)
        if broken is not None or value is None:
            return broken or fault(None, self._plan.options)  # type: ignore[return-value]  # of None
        tokens = _members(value)
        values: list[Value | None] = []
        problems: list[Problem] = []
        soft: set[str] = set()
        for field, convert, checks in self._fields:
            outcome = self._read(field, convert, checks, tokens)
            if isinstance(outcome, Problem):
                if field.on_error == "rescue":
                    soft.add(str(field.path[0]))
                elif len(problems) < PROBLEMS_MAX:
                    problems.append(outcome)
                outcome = None
            values.append(outcome)
        if self._plan.options.unknown_fields == "reject":
            problems += self._unknown(tokens)[: PROBLEMS_MAX - len(problems)]
        if problems:
            return _rejection(problems)
        return Row(tuple(values), self._rescued(tokens, soft) if self._plan.rescues else None)

    def _read(
        self,
        field: EventField,
        convert: Callable[[bytes], Outcome],
        checks: Callable[[Value], tuple[str, str] | None],
        tokens: Tokens,
    ) -> Value | Problem | None:
        token = _find(tokens, field.path)
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
            return self._problem(outcome.value, field, field.expected, token)
        failed = checks(outcome)
        if failed is not None:
            return self._problem(failed[0], field, failed[1], token)
        return outcome

    def _problem(self, code: str, field: EventField, expected: str, token: bytes) -> Problem:
        keys = tuple(step for step in field.path if isinstance(step, str))
        return Problem(
            code, field.path_text, expected, excerpt.actual(token, keys, self._plan.masks)
        )

    def _unknown(self, tokens: Tokens) -> list[Problem]:
        return [
            Problem(
                "field.unknown",
                excerpt.visible(key.encode())[:200],
                "a field of the schema",
                excerpt.actual(bytes(token), (key,), self._plan.masks),
            )
            for key, token in tokens.items()
            if key not in self._named
        ]

    def _rescued(self, tokens: Tokens, soft: set[str]) -> str | None:
        keep_unread = self._plan.options.unknown_fields == "rescue"
        kept = [
            _key_text(key) + b":" + bytes(token)
            for key, token in tokens.items()
            if key in soft or (keep_unread and key not in self._whole)
        ]
        return "{" + b",".join(kept).decode() + "}" if kept else None


@lru_cache(maxsize=64)
def judge_of(plan_id: int, plan: Plan) -> Judge:
    """The judge of a plan; `plan_id` is `id(plan)`, since a schema cannot be hashed by value."""
    return Judge(plan)


def _find(tokens: Tokens, path: Path) -> bytes | None:
    """The text at a path; None when anything but the needed object or array is in the way."""
    found = tokens.get(str(path[0]))
    for step in path[1:]:
        if found is None:
            return None
        text = bytes(found)
        if isinstance(step, str):
            found = _members(text).get(step) if text[:1] == b"{" else None
        else:
            items = _items(text) if text[:1] == b"[" else []
            found = items[step] if step < len(items) else None
    return None if found is None else bytes(found)


def _checks(field: EventField) -> Callable[[Value], tuple[str, str] | None]:
    """enum, pattern, minimum, maximum in this order; the code and what was expected."""
    allowed = frozenset(field.enum) if field.enum is not None else None

    def check(value: Value) -> tuple[str, str] | None:
        if allowed is not None and value not in allowed:
            return "field.enum", f"one of {', '.join(map(str, field.enum or ()))}"[:200]
        if field.pattern is not None and not matches(pa.array([value]), field.pattern)[0].as_py():
            return "field.pattern", f"text that matches {field.pattern}"[:200]
        if field.minimum is not None and value < field.minimum:  # type: ignore[operator]  # one type
            return "field.range", f"at least {field.minimum}"
        if field.maximum is not None and value > field.maximum:  # type: ignore[operator]  # one type
            return "field.range", f"at most {field.maximum}"
        return None

    return check


def _rejection(problems: list[Problem]) -> Rejection:
    first = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    what = {
        "field.missing": "is missing",
        "field.null": "is null",
        "field.unknown": "is not in the schema",
    }.get(first.code, f"is not {first.expected}")
    sentence = f"{first.field_path} {what}"
    return Rejection(tuple(problems), sentence + more, sentence)
