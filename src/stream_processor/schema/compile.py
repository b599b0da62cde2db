"""From the schema file to a compiled schema, with every mistake at once (records.md, 7)."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import fields as value_fields
from typing import NamedTuple

from stream_processor.config.fields import FieldSpec, SchemaFile
from stream_processor.errors import ConfigurationError
from stream_processor.schema import instants, pattern, records, settings
from stream_processor.schema.event import EventField, EventSchema
from stream_processor.schema.paths import Path, parse_path
from stream_processor.schema.types import ColumnType, parse_type

_NAME = re.compile(r"[^\W\d]\w*")
_RESERVED = (records.INGESTED_AT, records.RESCUED)


class Problem(NamedTuple):
    """One mistake: the index of the field in the file, the key of the field, and a sentence.

    `key` is the key of the file that is wrong (`from`, `minimum`, ...); None is the field itself.
    """

    field_index: int
    key: str | None
    message: str


class SchemaInvalid(ConfigurationError):
    """The schema file holds mistakes; `problems` has them all for a loader with lines."""

    def __init__(self, name: str, problems: tuple[Problem, ...]) -> None:
        lines = "; ".join(
            f"fields[{problem.field_index}]{'.' + problem.key if problem.key else ''}: "
            f"{problem.message}"
            for problem in problems
        )
        super().__init__(f"schema {name}: {lines}")
        self.problems = problems


def compile_schema(file: SchemaFile) -> EventSchema:
    """Check a schema file and compile it. Called once per start, and by tests of schemas.

    Raises `SchemaInvalid` with every mistake, in the order of the fields.
    """
    problems: list[Problem] = []
    fields: list[EventField] = []
    for index, spec in enumerate(file.fields):
        field, found = _compile_field(spec)
        problems.extend(Problem(index, key, message) for key, message in found)
        if field is not None:
            fields.append(field)
    problems.extend(_name_problems(file.fields))
    if problems:
        raise SchemaInvalid(file.name, tuple(sorted(problems, key=lambda one: one.field_index)))
    compiled = tuple(fields)
    return EventSchema(file.name, str(file.version), compiled, _hash(compiled))


def _compile_field(spec: FieldSpec) -> tuple[EventField | None, list[tuple[str | None, str]]]:
    found: list[tuple[str | None, str]] = []
    column, path = _type_of(spec, found), _path_of(spec, found)
    if column is None:
        return None, found
    found.extend(settings.misplaced(spec, column))
    if spec.required and spec.default is not None:
        found.append(("default", "only an optional field may have a default"))
    if spec.pattern is not None and (why := pattern.refusal(spec.pattern)):
        found.append(("pattern", why))
    bare = _bare_field(spec, column, path or (spec.name,))
    field, wrong = settings.with_values(bare, spec)
    found.extend(wrong)
    return (None if found else field), found


def _type_of(spec: FieldSpec, found: list[tuple[str | None, str]]) -> ColumnType | None:
    try:
        return parse_type(spec.type)
    except ValueError as error:
        found.append(("type", str(error)))
        return None


def _path_of(spec: FieldSpec, found: list[tuple[str | None, str]]) -> Path | None:
    try:
        return parse_path(spec.from_) if spec.from_ is not None else (spec.name,)
    except ValueError as error:
        found.append(("from", str(error)))
        return None


def _bare_field(spec: FieldSpec, column: ColumnType, path: Path) -> EventField:
    zone = instants.offset_minutes(spec.timezone) if spec.timezone is not None else None
    return EventField(
        name=spec.name,
        type=column,
        path=path,
        path_text=spec.from_ if spec.from_ is not None else spec.name,
        required=spec.required,
        description=spec.description,
        normalise=tuple(spec.normalise),
        on_error=spec.on_error,
        pattern=spec.pattern,
        formats=tuple(spec.formats),
        zone_minutes=zone,
    )


def name_refusal(name: str) -> str | None:
    """Why a column cannot be called so, in words; None if it can. Also asked by transforms."""
    folded = name.casefold()
    if folded.startswith("_kafka_") or folded in _RESERVED:
        return f"{name} is reserved for our own columns"
    if _NAME.fullmatch(name) is None:
        return "a name is letters, digits and _, and does not begin with a digit"
    return None


def _name_problems(specs: tuple[FieldSpec, ...]) -> list[Problem]:
    """Names that are malformed, reserved, or differ from an earlier one only in case."""
    problems: list[Problem] = []
    seen: dict[str, str] = {}
    for index, spec in enumerate(specs):
        folded = spec.name.casefold()
        why = name_refusal(spec.name)
        if why is not None:
            malformed = _NAME.fullmatch(spec.name) is None
            hint = "; use `from` for a key that is not" if malformed and spec.from_ is None else ""
            problems.append(Problem(index, "name", why + hint))
        if folded in seen:
            other = seen[folded]
            how = "stands twice" if other == spec.name else f"differs from {other} only in case"
            problems.append(Problem(index, "name", f"{spec.name} {how}"))
        seen.setdefault(folded, spec.name)
    return problems


def _hash(fields: tuple[EventField, ...]) -> str:
    """The same for the same rules: a description changes nothing that an event can meet."""
    rules = [
        {
            part.name: _plain(getattr(field, part.name))
            for part in value_fields(field)
            if part.name not in ("description", "path_text")
        }
        for field in fields
    ]
    text = json.dumps(rules, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value) if not isinstance(value, bytes) else value.hex()
