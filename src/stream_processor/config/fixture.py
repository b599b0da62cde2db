"""The fixture file of `test` as typed, frozen values: events in, rows and dead letters out.

Made by `runtime.config_fixture`, which reports every error with its place. The text below each key
is its documentation: the JSON Schema of editors is generated from it.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, model_validator

from stream_processor.config.model import Model
from stream_processor.config.values import Text, TextMap


def _base64(text: str) -> str:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("expected base64") from error
    return text


def _instant(text: str) -> str:
    try:
        has_offset = datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        has_offset = False
    if not has_offset:
        raise ValueError("expected a time with an offset, like 2026-11-23T12:00:00Z")
    return text


Base64 = Annotated[str, AfterValidator(_base64)]
Instant = Annotated[str, AfterValidator(_instant)]


class FixtureHeader(Model):
    """One header of an event."""

    name: str
    """Its name."""
    value: str | None = None
    """Its text; null is a header without a value."""
    value_base64: Base64 | None = None
    """Its exact bytes, instead of `value`."""

    @model_validator(mode="after")
    def _one_value(self) -> Self:
        return _not_both(self, "value", "value_base64")


class FixtureEvent(Model):
    """One event as Kafka would bring it; it needs `value` or `value_base64`."""

    value: Any = None
    """Names and values, or a list, are written as JSON; text is the exact text, JSON or not; null
    is a tombstone."""
    value_base64: Base64 | None = None
    """The exact bytes, instead of `value`."""
    key: str | None = None
    """The text of the key."""
    key_base64: Base64 | None = None
    """The exact bytes of the key, instead of `key`."""
    headers: tuple[FixtureHeader, ...] | None = None
    """The headers, in order."""

    @model_validator(mode="after")
    def _one_value(self) -> Self:
        if not self.model_fields_set & {"value", "value_base64"}:
            raise ValueError(
                "an event needs `value` or `value_base64`; `value: null` is a tombstone"
            )
        return _not_both(_not_both(self, "value", "value_base64"), "key", "key_base64")


class FixtureExpectation(Model):
    """What must become of the events of a test; a list that is absent means none of that kind."""

    rows: tuple[dict[str, Any], ...] = ()
    """The rows in the order of their events: column names and values."""
    dlq: tuple[dict[str, Any], ...] = ()
    """The dead letters in the order of their events: like `stage`, `code`, `field_path`."""
    skipped: tuple[dict[str, Any], ...] = ()
    """The events that are left out by rule, in order: their `reason`."""
    match: Literal["subset", "exact"] = "subset"
    """`subset`: columns that are not named may hold anything. `exact`: a row has no value in a
    column that is not named, apart from `_kafka_*` and `_ingested_at`."""


class FixtureTest(Model):
    """One test: some events, judged as one batch."""

    name: Text
    """What it shows, in words."""
    input: tuple[FixtureEvent, ...]
    """The events, in order."""
    expect: FixtureExpectation
    """What must become of them."""


class FixtureFile(Model):
    """Tests of a pipeline file: events in, rows and dead letters out; no server is needed."""

    version: Literal[1]
    """Version of this file format: `1`."""
    pipeline: Text | None = None
    """The pipeline file, relative to this file. Without it and `schema`: the built-in one."""
    schema_: Text | None = Field(default=None, alias="schema")
    """A schema file alone instead, judged with the defaults of a pipeline file."""
    clock: Instant | None = None
    """What time it is, RFC 3339: `_ingested_at` and `failed_at`; now if absent."""
    environment: TextMap = Field(default_factory=dict)
    """Variables for the pipeline file; they go before those of the process."""
    tests: tuple[FixtureTest, ...]
    """The tests, each by itself."""

    @model_validator(mode="after")
    def _one_judge(self) -> Self:
        return _not_both(self, "pipeline", "schema_")


M = TypeVar("M", bound=Model)


def _not_both(section: M, one: str, other: str) -> M:
    if {one, other} <= section.model_fields_set:
        raise ValueError(
            f"`{one}` and `{other.rstrip('_')}` contradict each other; write one of them"
        )
    return section
