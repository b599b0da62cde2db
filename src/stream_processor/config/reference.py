"""The reference tables of every key, made from the models, so that they cannot disagree."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from stream_processor.config.fields import SchemaFile
from stream_processor.config.model import Model
from stream_processor.config.model_keys import (
    fields_of,
    is_open,
    keys_of,
    model_at,
    model_in,
    sections,
)
from stream_processor.config.pipeline import Pipeline
from stream_processor.config.units import Duration, Size

_NAMES: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    SecretStr: "text, secret",
    Duration: "duration",
    Size: "size",
}


def reference_text() -> str:
    """Markdown: one table for each section of the pipeline file, then of the schema file.

    Called by `scripts/generate_reference.py`, and by the test that compares the page with it.
    """
    parts = [*_tables(Pipeline, "pipeline file"), *_tables(SchemaFile, "schema file")]
    return "\n".join(parts)


def _tables(root: type[Model], file: str) -> Iterator[str]:
    for path, model in sections(root):
        yield f"### {_title(root, path) if path else f'The {file}'}\n\n{model.__doc__}\n"
        yield "| key | type | default | meaning |\n| --- | --- | --- | --- |"
        yield from (_row(key, field) for key, field in fields_of(model).items())
        yield ""


def _title(root: type[Model], path: tuple[str, ...]) -> str:
    """The section as it is written: `transform[]` where the file has a list of them."""
    above = model_at(root, path[:-1])
    is_list = above is not None and typing.get_origin(keys_of(above)[path[-1]]) is tuple
    return f"`{'.'.join(path)}{'[]' if is_list else ''}`"


def _row(key: str, field: FieldInfo) -> str:
    meaning = " ".join((field.description or "").split())
    cells = (f"`{key}`", _type(field.annotation), _default(field), meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _type(annotation: Any) -> str:
    if is_open(annotation):
        return "names and values"
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{part}`" for part in parts)
    if origin in {types.UnionType, typing.Union}:
        choices = [part for part in parts if part is not types.NoneType]
        return _type(choices[0]) if len(choices) == 1 else "text, number, true or false"
    if origin is tuple:
        return f"list of {_type(parts[0])}"
    if origin is typing.Annotated:
        return _type(parts[0])
    model = model_in(annotation)
    return "section" if model is not None else _NAMES[annotation]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, Duration | Size):
        return f"`{value.in_words()}`"
    if isinstance(value, Model) or value is None or value in ((), {}):
        return ""
    if isinstance(value, tuple):
        return f"`[{', '.join(value)}]`"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"
