"""The exact path: names the code and the reasons of what is no row (records.md, 2 to 5).

Whole columns find out *that* a field fails (`processor.columns`); this module says why, one value
at a time, by every rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import NamedTuple

import msgspec

from stream_processor.errors import InternalError
from stream_processor.processor import excerpt
from stream_processor.processor.plan import Plan
from stream_processor.processor.reader import Token
from stream_processor.processor.rejection import PROBLEMS_MAX, Problem, Rejection, of_field
from stream_processor.processor.syntax import fault
from stream_processor.schema.convert import converter
from stream_processor.schema.event import EventField
from stream_processor.schema.instants import in_words
from stream_processor.schema.values import Failure, Value

_TEXT_MAX = 200

Check = Callable[[Value], tuple[str, str] | None]
"""The code and what was expected of a value that breaks a rule; None when it breaks none."""

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


class Failing(NamedTuple):
    """A field that an event fails: its place in the schema and the text there, empty when absent.

    `why` is known where the text was converted before and is no value of the field.
    """

    place: int
    token: Token
    why: Failure | None = None


class Judge:
    """All rules of one plan, ready to give reasons. Made by `judge_of`; has no state."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._fields = [_Rules(field, plan) for field in plan.schema.fields]
        self._whole = {field.path[0] for field in plan.schema.fields if len(field.path) == 1}

    def unreadable(self, value: bytes) -> Rejection:
        """Why a value is no event at all. Called for what a decoder refused."""
        rejection = fault(value, self._plan.options)
        if rejection is None:
            raise InternalError("a decoder refused a record that is an event")
        return rejection

    def reason(self, failing: Failing) -> Rejection:
        """Why an event is no row that fails this field and no other."""
        return of_field(self._reason(failing))

    def reasons(
        self, failing: Sequence[Failing], unknown: Sequence[tuple[str, Token]]
    ) -> Rejection:
        """Why an event is no row.

        `failing` are its failing fields in the order of the schema, `unknown` its members that may
        not be there. Only the first reason is worked out before the others are asked for.
        """
        if failing:
            first = self._reason(failing[0])
            return of_field(first, partial(self._others, failing[1:], unknown))
        if not unknown:
            raise InternalError("an event without a reason was to be rejected")
        key, token = unknown[0]
        return of_field(self._unknown(key, bytes(token)), partial(self._others, (), unknown[1:]))

    def _others(
        self, failing: Sequence[Failing], unknown: Sequence[tuple[str, Token]]
    ) -> list[Problem]:
        problems = [self._reason(each) for each in failing]
        problems += [self._unknown(key, bytes(token)) for key, token in unknown]
        return problems[: PROBLEMS_MAX - 1]

    def rescued(self, value: bytes, roots: set[str]) -> bytes:
        """What is kept beside the row of an event, with these keys though fields read them."""
        unread = self._plan.options.unknown_fields == "rescue"
        kept = {
            key: token
            for key, token in _members(value).items()
            if key in roots or (unread and key not in self._whole)
        }
        return _encode(kept) if kept else b""

    def _reason(self, failing: Failing) -> Problem:
        rules = self._fields[failing.place]
        token = bytes(failing.token)
        if not token:
            return rules.missing
        why: Failure | tuple[str, str] | None = failing.why
        if why is None:
            outcome = rules.convert(token)
            if outcome is None:
                return rules.null
            why = outcome if isinstance(outcome, Failure) else rules.check(outcome)
        if why is None:
            raise InternalError("a column failed a field that keeps all rules")
        code, expected = rules.failures[why] if isinstance(why, Failure) else why
        return Problem(code, rules.path_text, expected, rules.shown(token))

    def _unknown(self, key: str, token: bytes) -> Problem:
        name = excerpt.visible(key[:_TEXT_MAX].encode())[:_TEXT_MAX]
        actual = excerpt.actual(token, (key,), self._plan.masks)
        return Problem("field.unknown", name, "a field of the schema", actual)


class _Rules:
    """What the judge knows of one field, made ready once."""

    def __init__(self, field: EventField, plan: Plan) -> None:
        keys = tuple(step for step in field.path if isinstance(step, str))
        self.convert = converter(field, plan.options.coerce)
        self.check = _check(field)
        self.path_text = field.path_text
        self.failures = {why: (why.value, field.expected) for why in Failure}
        self.missing = Problem("field.missing", field.path_text, field.expected, None)
        self.null = Problem("field.null", field.path_text, field.expected, "null")
        self._hidden = excerpt.hidden(keys, plan.masks)
        self._masks = plan.masks

    def shown(self, token: bytes) -> str:
        """What stands there, as a dead letter shows it."""
        return excerpt.MASK if self._hidden else excerpt.shown(token, self._masks)


@lru_cache(maxsize=16)
def judge_of(plan: Plan) -> Judge:
    """The judge of a plan, made once."""
    return Judge(plan)


def _check(field: EventField) -> Check:
    """enum, pattern, minimum, maximum, in this order; for values that break one of them."""
    rules: list[tuple[Callable[[Value], bool], tuple[str, str]]] = []
    kind = field.type.kind
    if field.enum is not None:
        allowed = frozenset(field.enum)
        listed = f"one of {', '.join(in_words(value, kind) for value in field.enum)}"[:_TEXT_MAX]
        rules.append((lambda value: value not in allowed, ("field.enum", listed)))
    if field.pattern is not None:
        described = f"text that matches {field.pattern}"[:_TEXT_MAX]
        # A string has no minimum: a failing one that the enum allows can only break the pattern.
        rules.append((lambda _value: True, ("field.pattern", described)))
    if (low := field.minimum) is not None:
        least = ("field.range", f"at least {in_words(low, kind)}")
        rules.append((lambda value: value < low, least))  # type: ignore[operator]  # one type
    if (high := field.maximum) is not None:
        most = ("field.range", f"at most {in_words(high, kind)}")
        rules.append((lambda value: value > high, most))  # type: ignore[operator]  # one type

    def check(value: Value) -> tuple[str, str] | None:
        return next((why for broken, why in rules if broken(value)), None)

    return check
