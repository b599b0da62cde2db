"""`dlq export --format fixture`: dead letters as tests, with what today's rules make of them.

Every value is written in the most readable form that gives its exact bytes back: as names and
values, as text, or as base64.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from stream_processor.errors import ConfigurationError, StreamProcessorError
from stream_processor.operations.dlq.export import encoded
from stream_processor.operations.fixture_values import json_bytes
from stream_processor.operations.try_payloads import plain
from stream_processor.processor.kernel import process
from stream_processor.processor.plan import Plan, Stamp
from stream_processor.runtime.config_loader import default_file
from stream_processor.runtime.config_yaml import FILE_BYTES_MAX, NODES_MAX, read_text
from stream_processor.schema.display import printable
from stream_processor.sources.replay import raw_events

RECORDS_MAX = 20
"""Tests that are made unless the person says otherwise: more than this nobody reads."""

_CAUSE = ("stage", "code", "field_path")
_BARE = re.compile(r"(?!(?:true|false|null)$)[A-Za-z_][A-Za-z0-9_.-]*")
_COMMENT_LIMIT = 300


@dataclass(frozen=True, slots=True)
class FixtureHead:
    """What the tests of a fixture share. `folder` is where it will be, for the relative path."""

    pipeline: Path
    folder: Path
    now: datetime


def fixture_text(batches: Iterable[pa.RecordBatch], plan: Plan, head: FixtureHead) -> str:
    """The whole file. A dead letter whose value was cut is left out: it is not the event any more.

    Raises `StreamProcessorError` when none is left, `ConfigurationError` when the file would be
    larger than `test` reads.
    """
    stamp = Stamp.at(head.now.timestamp())
    tests = [
        "\n".join(_test(letters, plan, stamp))
        for batch in batches
        for letters in _one_by_one(batch)
        if not letters["value_truncated"][0].as_py()
    ]
    if not tests:
        raise StreamProcessorError(
            "the values of all chosen dead letters were cut, so there is no event to test",
            hint="choose others; --format ndjson has what is left of these",
        )
    text = "\n".join([*_head(head), *tests])
    if len(text.encode()) > FILE_BYTES_MAX or read_text("", text).problems:
        raise ConfigurationError(
            f"a fixture file holds at most {FILE_BYTES_MAX:,} bytes and {NODES_MAX:,} values",
            hint="choose fewer dead letters with --limit",
        )
    return text


def _one_by_one(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    ordered = batch.sort_by([(name, "ascending") for name in ("topic", "partition", "offset")])
    return (ordered.slice(index, 1) for index in range(ordered.num_rows))


def _head(head: FixtureHead) -> Iterator[str]:
    yield "# Made of dead letters: what the rules of that moment gave is what is expected."
    yield "# Change `expect` to what you want; the keys are in docs/reference/fixtures.md."
    yield "version: 1"
    if head.pipeline != default_file():
        yield f"pipeline: {_text(os.path.relpath(head.pipeline, head.folder))}"
    yield f"clock: {head.now.isoformat(timespec='seconds').replace('+00:00', 'Z')}"
    yield "tests:"


def _test(letters: pa.RecordBatch, plan: Plan, stamp: Stamp) -> Iterator[str]:
    (letter,) = letters.to_pylist()
    place = f"{printable(letter['topic'], 100)}[{letter['partition']}]@{letter['offset']}"
    cause = " ".join(filter(None, (letter["code"], letter["field_path"])))
    message = printable(letter["message"] or "", _COMMENT_LIMIT)
    yield ""
    yield f"  # dead letter {letter['dlq_id']}, failed {plain(letter['failed_at'])}"
    yield f"  # {message or letter['code']}"
    yield f"  - name: {_text(f'{printable(cause, 100)} ({place})')}"
    yield "    input:"
    yield from _event(letter)
    yield "    expect:"
    yield from _expect(letters, plan, stamp)


def _event(letter: dict[str, Any]) -> Iterator[str]:
    yield f"      - {_value(letter['value'])}"
    if letter["key"] is not None:
        yield f"        {_exact('key', letter['key'])}"
    if letter["headers"]:
        yield "        headers:"
        for header in letter["headers"]:
            value = header["value"]
            name = _quoted(header["name"])
            content = "" if value is None else f", {_exact('value', value)}"
            yield f"          - {{name: {name}{content}}}"


def _value(value: bytes | None) -> str:
    if value is None:
        return "value: null"
    text = _harmless(value)
    if text is not None and text.startswith("{") and _reads_back(text, value):
        return f"value: {text}"
    return _exact("value", value)


def _reads_back(text: str, value: bytes) -> bool:
    """Whether JSON, taken as YAML as deep as it will stand in the file, is the very same event."""
    document = read_text("", f"tests: [{{input: [{{value: {text}}}]}}]")
    if document.problems:
        return False
    read = document.value["tests"][0]["input"][0]["value"]
    return isinstance(read, dict) and json_bytes(read) == value


def _exact(key: str, value: bytes) -> str:
    text = _harmless(value)
    return f"{key}_base64: {encoded(value)}" if text is None else f"{key}: {_text(text)}"


def _harmless(value: bytes) -> str | None:
    """The text of these bytes, or None where any letter of it is not plain to see."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return None
    seen = text.replace("\n", "").replace("\r", "").replace("\t", "")
    parts = seen.split("[")  # markup is off where files are read
    return text if all(printable(part, len(part) + 1) == part for part in parts) else None


def _text(text: str) -> str:
    """A text in the quotes that need the fewest escapes."""
    if {"\n", "\r", "\t"} & set(text):
        return _quoted(text)
    return f"'{text.replace(chr(39), chr(39) * 2)}'"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=_harmless(text.encode("utf-8", "replace")) is None)


def _expect(letters: pa.RecordBatch, plan: Plan, stamp: Stamp) -> Iterator[str]:
    done = process(raw_events(letters), plan, stamp)
    for row in done.valid.to_pylist():
        columns = {field.name: row[field.name] for field in plan.schema.fields}
        yield f"      rows: [{_mapping(columns)}]"
    for letter in done.dead.to_pylist():
        yield f"      dlq: [{_mapping({name: letter[name] for name in _CAUSE})}]"
    for skipped in done.skipped.to_pylist():
        yield f"      skipped: [{_mapping({'reason': skipped['reason']})}]"


def _mapping(record: dict[str, Any]) -> str:
    """What is not null and plain to see, on one line; more need not be named to be expected."""
    members = (
        f"{name if _BARE.fullmatch(name) else _quoted(name)}: {_scalar(plain(value))}"
        for name, value in record.items()
        if value is not None and not (isinstance(value, str) and _harmless(value.encode()) is None)
    )
    return f"{{{', '.join(members)}}}"


def _scalar(value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    return value if _BARE.fullmatch(value) else _text(value)
