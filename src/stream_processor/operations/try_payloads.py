"""`try`: what would become of these events, by the very rules of a run.

Events come as envelopes (one JSON object per line: `value_base64`, `key_base64`, `headers`) or raw
(one payload per line). Answers are plain values that JSON can write, in the order of the events.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa

import stream_processor
from stream_processor.config.fields import SchemaFile
from stream_processor.errors import ConfigurationError
from stream_processor.ports import Clock
from stream_processor.processor.kernel import Processed, process
from stream_processor.processor.plan import Plan, PlanOptions, Stamp, make_plan
from stream_processor.schema import records
from stream_processor.schema.compile import compile_schema

TOPIC = "try"
"""Rows and dead letters need coordinates: this topic, partition 0, and the line as the offset."""

LINE_BYTES_MAX = 256 * 2**20
_READ_BYTES = 2**20

Headers = list[tuple[str, bytes | None]]


class InputInvalid(ConfigurationError):
    """A line of the input is no envelope. What is wrong with an *event* is its dead letter."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event as Kafka would bring it; a null value is a tombstone."""

    value: bytes | None
    key: bytes | None = None
    headers: Headers | None = None


class _Header(msgspec.Struct, frozen=True):
    name: str
    value_base64: str | None = None
    value: str | None = None


class _Envelope(msgspec.Struct, frozen=True):
    """Other keys are ignored, so that lines of test files and exports can be fed as they are."""

    value_base64: str | None
    key_base64: str | None = None
    headers: list[_Header | tuple[str, str | None]] | dict[str, str | None] | None = None


def plan_of_schema(schema_file: SchemaFile) -> Plan:
    """The rules of a schema file alone, with the defaults of a pipeline file (`try --schema`)."""
    options = PlanOptions(TOPIC, app_version=stream_processor.__version__)
    return make_plan(compile_schema(schema_file), options)


def raw_events(stream: BinaryIO) -> Iterator[list[Event]]:
    """Every line is a payload, also an empty one; a line break at the end begins no further one."""
    for _, lines in _lines(stream):
        yield [Event(line) for line in lines]


def envelope_events(stream: BinaryIO) -> Iterator[list[Event]]:
    """Every line is an envelope; blank ones are left out. Raises `InputInvalid` with its number."""
    for first, lines in _lines(stream):
        opened: list[Event] = []
        for number, line in enumerate(lines, first):
            try:
                opened += [_opened(line, number)] if line.strip() else []
            except InputInvalid:
                yield opened  # what came before it gets its answers all the same
                raise
        yield opened


def verdicts(
    events: Iterator[list[Event]], plan: Plan, clock: Clock
) -> Iterator[list[dict[str, Any]]]:
    """`{"row": ...}`, `{"dead_letter": ...}` or `{"skipped": ...}` for each event, in order.

    As many at once as events came at once. Called by `try`. Binary is base64, a decimal its text,
    a timestamp RFC 3339 in UTC.
    """
    offset = 0
    for some in events:
        done = process(raw_batch(some, offset), plan, Stamp.at(clock.now()))
        offset += len(some)
        yield _in_order(done)


def _lines(stream: BinaryIO) -> Iterator[tuple[int, list[bytes]]]:
    """Whatever has arrived, in whole lines, with the number of the first of them.

    So a pipe that is slow is answered line by line, and a large file in large steps.
    """
    read = getattr(stream, "read1", stream.read)
    rest, number = b"", 1
    while data := read(_READ_BYTES):
        *lines, rest = (rest + data).split(b"\n")
        if len(rest) > LINE_BYTES_MAX:
            raise InputInvalid(
                f"line {number + len(lines)} is longer than {LINE_BYTES_MAX:,} bytes"
            )
        if lines:
            yield number, lines
            number += len(lines)
    if rest:
        yield number, [rest]


def _opened(line: bytes, number: int) -> Event:
    try:
        envelope = msgspec.json.decode(line, type=_Envelope)
        return Event(
            _bytes(envelope.value_base64), _bytes(envelope.key_base64), _headers(envelope.headers)
        )
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        # The library names the place and the types, never what it read.
        why = str(error) if isinstance(error, msgspec.ValidationError) else "not valid JSON"
        raise _invalid(number, why) from error
    except (binascii.Error, ValueError) as error:
        raise _invalid(number, "not valid base64") from error


def _invalid(number: int, why: str) -> InputInvalid:
    return InputInvalid(
        f"line {number} is no envelope: {why}",
        hint='write {"value_base64": "...", "key_base64": null, "headers": []}, '
        "or use --input raw for one payload per line",
    )


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)


def _headers(
    given: list[_Header | tuple[str, str | None]] | dict[str, str | None] | None,
) -> Headers | None:
    if given is None:
        return None
    if isinstance(given, dict):
        return [(name, _bytes(text)) for name, text in given.items()]
    return [
        (each.name, _bytes(each.value_base64 if each.value is None else each.value))
        if isinstance(each, _Header)
        else (each[0], _bytes(each[1]))
        for each in given
    ]


def raw_batch(events: Sequence[Event], first_offset: int) -> pa.RecordBatch:
    """These events as the kernel takes them, with made up coordinates; also called by `test`."""
    count = len(events)
    columns: dict[str, Any] = {
        "topic": [TOPIC] * count,
        "topic_id": [None] * count,
        "partition": [0] * count,
        "offset": range(first_offset, first_offset + count),
        "timestamp": [None] * count,
        "timestamp_type": [0] * count,
        "key": [event.key for event in events],
        "value": [event.value for event in events],
        "headers": [
            None if event.headers is None else [_header(*each) for each in event.headers]
            for event in events
        ],
    }
    arrays = [pa.array(columns[field.name], field.type) for field in records.RAW]
    return pa.RecordBatch.from_arrays(arrays, schema=records.RAW)


def _header(name: str, value: bytes | None) -> dict[str, Any]:
    return {"name": name, "value": value}


def _in_order(done: Processed) -> list[dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for row in done.valid.to_pylist():
        found[row[records.KAFKA_OFFSET]] = {"row": plain(row)}
    for letter in done.dead.to_pylist():
        found[letter["offset"]] = {"dead_letter": plain(letter)}
    for skipped in done.skipped.to_pylist():
        found[skipped["offset"]] = {"skipped": {"reason": skipped["reason"]}}
    return [found[offset] for offset in sorted(found)]


def plain(value: Any) -> Any:
    """Any value of a table as one that JSON has; called for whatever is shown of a row."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    return value
