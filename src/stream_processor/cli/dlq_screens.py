"""What `dlq show` says about a record and about a group."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stream_processor.cli.dlq_payload import Form, Mark, path_of, shown
from stream_processor.cli.dlq_words import moment, short
from stream_processor.cli.output import cell, say, say_columns, sentence
from stream_processor.schema.display import printable

if TYPE_CHECKING:
    from stream_processor.operations.dlq.look import GroupView, RecordView
    from stream_processor.operations.dlq.verdict import Verdict

_KEY_LIMIT = 200
_HEADERS_MAX = 20
_HOURS_MAX = 24
_PROBLEMS_MAX = 10
_BYTE = re.compile(r" at byte ([0-9]{1,9})$")
_INDENT = " " * 4

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Payload:
    """The value as it may be shown, and how a person wants to see it."""

    value: bytes | None
    form: Form
    lines_max: int


def show_record(view: RecordView, payload: Payload, schema: str) -> None:
    """One record from top to bottom: where from, how far, what, and what now."""
    letter = view.letter
    event = f"{cell(letter['topic'])}[{letter['partition']}]@{letter['offset']}"
    say(sentence(f"{event}   {_key(letter['key'])}   {moment(letter['kafka_timestamp'])}"))
    say(
        sentence(
            f"record {letter['dlq_id']}   group {short(letter['fingerprint'])}   {letter['status']}"
        )
    )
    say(sentence(f"failed at {moment(letter['failed_at'])} by schema {letter['schema_hash'][:8]}"))
    say("")
    _ladder(letter)
    say("")
    _value(letter, payload)
    _headers(letter["headers"] or ())
    _history(view.history)
    say("")
    say(sentence(f"with the schema on disk now ({schema}): {_outcome(view.verdict)}"))


def show_group(view: GroupView) -> None:
    """One group: its cause, when it came, and its newest records."""
    group = view.group
    field = [group.field_path] if group.field_path else []
    name = f"group {short(group.fingerprint)}"
    say(sentence("   ".join([name, group.stage, group.code, *field, group.state])))
    counts = ", ".join(f"{count:,} {status}" for status, count in sorted(group.counts.items()))
    say(sentence(f"{counts}; {group.recent:,} failed in the last 24 hours"))
    say(sentence(f"first seen {moment(group.first_seen)}, last seen {moment(group.last_seen)}"))
    if view.samples and view.samples[0]["message"]:
        say(sentence(f"like: {view.samples[0]['message']}"))
    say("")
    hours = [*view.hours.items()][-_HOURS_MAX:]
    say_columns([("hour", "failed"), *((moment(hour), n) for hour, n in hours)], right=[1])
    if len(view.hours) > len(hours):
        say(f"… and {len(view.hours) - len(hours):,} earlier hours")
    say("")
    _samples(view.samples)
    _problems(view)


def _ladder(letter: Row) -> None:
    from stream_processor.operations.dlq.verdict import ladder

    words = {"ok": "ok", "failed": f"FAILED   {_reason(letter)}", "not reached": "-"}
    for step, state in ladder(letter["stage"]):
        say(sentence(f"  {step:<9}   {words[state]}"))
        if state != "failed":
            continue
        for line in _details(letter):
            say(" " * 14 + sentence(line))


def _reason(problem: Row) -> str:
    at = f" at {problem['field_path']}" if problem["field_path"] else ""
    return f"{problem['code']}{at}"


def _details(letter: Row) -> Iterator[str]:
    if letter["message"] and letter["field_path"] is None:
        yield letter["message"]
    yield from _expected(letter)
    others = (letter["problems"] or ())[1:]
    for problem in others[:_PROBLEMS_MAX]:
        yield f"also {_reason(problem)}"
        yield from _expected(problem)
    if len(others) > _PROBLEMS_MAX:
        yield f"and {len(others) - _PROBLEMS_MAX:,} more"
    if letter["detail_sampled"]:
        yield "it came in a flood, in which not all details are kept"


def _expected(problem: Row) -> Iterator[str]:
    found = "nothing" if problem["code"] == "field.missing" else problem["actual"]
    if problem["expected"]:
        yield f"expected {problem['expected']}" + ("" if found is None else f", found {found}")


def _value(letter: Row, payload: Payload) -> None:
    if payload.value is None:
        why = "not known" if letter["value_truncated"] else "none, a tombstone"
        say(f"value   {why}")
        return
    kept, whole = len(letter["value"]), letter["value_size"]
    cut = f", of which the first {kept:,} are kept" if kept < whole else ""
    size = f"{whole:,} bytes{cut}"
    hidden = "" if payload.value == letter["value"] else "; preview_mask hides parts of it"
    say(f"value   {size}{hidden}")
    is_json = letter["stage"] not in ("decode", "parse", "process")
    form = payload.form if is_json or payload.form == "hex" else "raw"
    marks = [] if hidden and not is_json else [*_marks(letter, form)]
    for line in shown(payload.value, form, marks, payload.lines_max):
        say(_INDENT + line)


def _marks(letter: Row, form: Form) -> Iterator[Mark]:
    place = _BYTE.search(letter["message"] or "")
    if place and form != "pretty":
        yield Mark(int(place[1]), letter["message"])
    if form != "pretty":
        return
    for problem in letter["problems"] or [letter]:
        if problem["field_path"] is not None:
            path = path_of(problem["code"], problem["field_path"])
            expected = f": expected {problem['expected']}" if problem["expected"] else ""
            yield Mark(path, f"{_reason(problem)}{expected}")


def _key(key: bytes | None) -> str:
    return "no key" if key is None else f'key "{printable(key, _KEY_LIMIT)}"'


def _headers(headers: Any) -> None:
    for header in headers[:_HEADERS_MAX]:
        value = "null" if header["value"] is None else printable(header["value"], _KEY_LIMIT)
        say(f"header  {printable(header['name'], _KEY_LIMIT)} = {value}")
    if len(headers) > _HEADERS_MAX:
        say(f"… and {len(headers) - _HEADERS_MAX:,} more headers")


def _history(history: tuple[Row, ...]) -> None:
    if history:
        say("")
    for action in history:
        parts = [
            moment(action["at"]),
            action["action"],
            *([f"to {action['target']}"] if action["target"] else []),
            *([f"v{action['target_version']}"] if action["target_version"] is not None else []),
            *([action["code"]] if action["code"] else []),
            f"by {action['actor']}",
            *([f"note: {action['note']}"] if action["note"] else []),
        ]
        say("   ".join(printable(part, _KEY_LIMIT) for part in parts))


def _outcome(verdict: Verdict) -> str:
    if verdict.outcome == "row":
        return "would SUCCEED"
    if verdict.outcome == "skipped":
        return f"would be left out by rule ({verdict.message})"
    if verdict.outcome == "unknown":
        return "cannot be judged, as not the whole value was kept"
    at = f" at {verdict.field_path}" if verdict.field_path else ""
    return f"would FAIL: {verdict.code}{at}"


def _samples(samples: tuple[Row, ...]) -> None:
    rows = [
        (
            short(each["dlq_id"]),
            f"{each['topic']}[{each['partition']}]@{each['offset']}",
            moment(each["failed_at"]),
            each["expected"] or "-",
            "-" if each["actual"] is None else each["actual"],
            each["status"],
        )
        for each in samples
    ]
    say_columns([("newest", "event", "failed at", "expected", "found", "status"), *rows])


def _problems(view: GroupView) -> None:
    """What else is wrong with the samples: mending one field alone may not be enough."""
    first = (view.group.code, view.group.field_path)
    rest = {key: count for key, count in view.problems.items() if key[:2] != first and key[1]}
    if not rest:
        return
    say("")
    rows = [(count, code, path, expected or "-") for (code, path, expected), count in rest.items()]
    say_columns([("also", "code", "field", "expected"), *rows[:_PROBLEMS_MAX]], right=[0])
