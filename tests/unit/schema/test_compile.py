"""A schema file is either compiled as it is meant, or refused with every mistake at once."""

from __future__ import annotations

from typing import Any

import pytest

from stream_processor.config.fields import SchemaFile
from stream_processor.schema.compile import Problem, SchemaInvalid, compile_schema
from stream_processor.schema.event import EventSchema
from stream_processor.schema.paths import parse_path


def compiled(*fields: dict[str, Any]) -> EventSchema:
    return compile_schema(
        SchemaFile.model_validate({"version": 1, "name": "orders", "fields": list(fields)})
    )


def problems(*fields: dict[str, Any]) -> list[Problem]:
    with pytest.raises(SchemaInvalid) as caught:
        compiled(*fields)
    assert caught.value.exit_code == 2
    return list(caught.value.problems)


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    """A person should not have to start the job once per mistake."""
    found = problems(
        {"name": "a", "type": "integer"},
        {"name": "b", "type": "string", "pattern": "(?=x)", "from": "$.b"},
        {"name": "c", "type": "long", "minimum": 2, "maximum": 1},
        {"name": "A", "type": "string"},
    )
    assert [(one.field_index, one.key) for one in found] == [
        (0, "type"),
        (1, "from"),
        (1, "pattern"),
        (2, "maximum"),
        (3, "name"),
    ]
    assert "a only in case" in found[-1].message


@pytest.mark.parametrize(
    ("field", "key"),
    [
        ({"type": "varchar"}, "type"),
        ({"type": "decimal(39,2)"}, "type"),
        ({"type": "decimal(2,3)"}, "type"),
        ({"type": "decimal(0,0)"}, "type"),
        ({"type": "string", "from": "a..b"}, "from"),
        ({"type": "string", "from": "a[x]"}, "from"),
        ({"type": "string", "from": ""}, "from"),
        ({"type": "string", "required": True, "default": "x"}, "default"),
        ({"type": "int", "default": 2**31}, "default"),
        ({"type": "int", "default": 1.5}, "default"),
        ({"type": "int", "default": "7"}, "default"),
        ({"type": "string", "default": 7}, "default"),
        ({"type": "boolean", "default": "true"}, "default"),
        ({"type": "decimal(4,2)", "maximum": "1.005"}, "maximum"),
        ({"type": "double", "minimum": float("nan")}, "minimum"),
        ({"type": "timestamp", "minimum": "2026-01-01"}, "minimum"),
        ({"type": "date", "minimum": "2026-02-30"}, "minimum"),
        ({"type": "binary", "default": "AA"}, "default"),
        ({"type": "json", "default": "{"}, "default"),
        ({"type": "string", "minimum": "a"}, "minimum"),
        ({"type": "boolean", "maximum": True}, "maximum"),
        ({"type": "int", "pattern": "[0-9]"}, "pattern"),
        ({"type": "string", "pattern": "("}, "pattern"),
        ({"type": "string", "pattern": r"(a)\1"}, "pattern"),
        ({"type": "json", "normalise": ["trim"]}, "normalise"),
        ({"type": "json", "enum": ["{}"]}, "enum"),
        ({"type": "string", "enum": []}, "enum"),
        ({"type": "string", "enum": ["a", None]}, "enum"),
        ({"type": "string", "enum": ["a", False]}, "enum"),
        ({"type": "string", "enum": ["a"], "default": "b"}, "default"),
        ({"type": "string", "enum": ["a"], "pattern": "[0-9]"}, "enum"),
        ({"type": "int", "enum": [5], "maximum": 4}, "enum"),
        ({"type": "int", "default": 5, "maximum": 4}, "default"),
        ({"type": "string", "formats": ["epoch_s"]}, "formats"),
        ({"type": "timestamp", "formats": ["epoch_s", "epoch_ms"]}, "formats"),
        ({"type": "timestamp", "formats": []}, "formats"),
        ({"type": "date", "timezone": "UTC"}, "timezone"),
        ({"type": "timestamp", "timezone": "Europe/Prague"}, "timezone"),
        ({"type": "timestamp", "timezone": "+25:00"}, "timezone"),
        ({"type": "timestamp", "formats": ["epoch_s"], "timezone": "UTC"}, "timezone"),
    ],
    ids=repr,
)
def test_a_setting_that_means_nothing_or_does_not_fit_is_refused(
    field: dict[str, Any], key: str
) -> None:
    """A rule that is silently ignored is found out months later, in the data."""
    assert [one.key for one in problems({"name": "a", **field})] == [key]


@pytest.mark.parametrize(
    "name", ["_kafka_offset", "_KAFKA_x", "_ingested_at", "_rescued", "_Rescued", "7a", "a b", ""]
)
def test_reserved_and_malformed_names_are_refused(name: str) -> None:
    """They would collide with our own columns, or with what a query can name."""
    assert {one.key for one in problems({"name": name, "type": "string"})} == {"name"}


def test_settings_become_values_of_the_column() -> None:
    """So an event is compared with what the file means, not with its spelling."""
    fields = compiled(
        {"name": "at", "type": "timestamp", "minimum": "1970-01-01T00:00:01Z"},
        {"name": "ms", "type": "timestamp", "formats": ["epoch_ms"], "default": 7},
        {"name": "day", "type": "date", "default": "1970-01-03"},
        {"name": "bin", "type": "binary", "default": "AAH/"},
        {"name": "doc", "type": "json", "default": '{"a": 1}'},
        {"name": "key", "type": "string", "from": "a.b[0]"},
    ).fields
    assert fields[0].minimum == 1_000_000
    assert fields[1].default == 7_000
    assert fields[2].default == 2
    assert fields[3].default == b"\x00\x01\xff"
    assert fields[4].default == '{"a": 1}'
    assert fields[5].path == ("a", "b", 0)


def test_the_hash_names_the_rules_and_nothing_else() -> None:
    """It is stored with every dead letter: the same rules must have the same hash, for ever."""
    plain = compiled({"name": "a", "type": "long", "minimum": 1})
    described = compiled({"name": "a", "type": "long", "minimum": 1, "description": "x"})
    spelled = compiled({"name": "a", "type": "long", "minimum": 1, "from": "a", "required": False})
    assert plain.schema_hash == described.schema_hash == spelled.schema_hash
    assert plain.schema_hash == ("fe032b4e723960c1586097ca0bfd7b28e6253681f31c0fe625c8925c5b01e2d0")
    for other in (
        {"type": "int", "minimum": 1},
        {"type": "long", "minimum": 2},
        {"type": "long"},
        {"type": "long", "minimum": 1, "required": True},
        {"type": "long", "minimum": 1, "on_error": "rescue"},
    ):
        assert compiled({"name": "a", **other}).schema_hash != plain.schema_hash


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a", ("a",)),
        ("created.at", ("created", "at")),
        ("a[0][12].b c.ž", ("a", 0, 12, "b c", "ž")),
    ],
)
def test_a_path_is_keys_and_indexes(text: str, path: tuple[object, ...]) -> None:
    """Any key without a dot or a bracket can be reached."""
    assert parse_path(text) == path


@pytest.mark.parametrize(
    "text",
    ["", ".a", "a.", "a..b", "[0]", "a[]", "a[-1]", "a[01]", "a[1", "a]", "$.a", ".".join("a" * 17)]
)  # fmt: skip  # a list of words
def test_a_malformed_path_is_refused(text: str) -> None:
    """It would be absent in every event, silently."""
    with pytest.raises(ValueError, match=r".+"):
        parse_path(text)
