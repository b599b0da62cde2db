"""What the models know of a path: its keys, its model, and where else a key belongs."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

from pydantic.fields import FieldInfo

from stream_processor.config.model import Model

KeyPath = tuple[str | int, ...]
"""Where a value is in a file: `("source", "kafka", "topics", 0)`."""


def fields_of(model: type[Model]) -> dict[str, FieldInfo]:
    """The keys of one section as they are written in a file, each with all that is known of it."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def keys_of(model: type[Model]) -> dict[str, Any]:
    """The same, each with its annotation only."""
    return {key: field.annotation for key, field in fields_of(model).items()}


def model_in(annotation: Any) -> type[Model] | None:
    """The section that an annotation holds: itself, or inside `| None` or `tuple[..., ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    found = (model_in(part) for part in typing.get_args(annotation))
    return next((model for model in found if model is not None), None)


def is_open(annotation: Any) -> bool:
    """Whether any key may stand there: `properties` and `options`."""
    if typing.get_origin(annotation) is dict:
        return True
    return any(is_open(part) for part in typing.get_args(annotation))


def model_at(root: type[Model], path: KeyPath) -> type[Model] | None:
    """The section at a path of the file, or None where the path is not a section."""
    model: type[Model] | None = root
    for key in path:
        if model is None:
            return None
        if isinstance(key, str):
            model = model_in(keys_of(model).get(key))
    return model


def sections(
    root: type[Model], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], type[Model]]]:
    """Every section below the root with its path, the root first."""
    yield path, root
    for key, annotation in keys_of(root).items():
        inner = model_in(annotation)
        if inner is not None:
            yield from sections(inner, (*path, key))


def homes(root: type[Model], key: str) -> list[str]:
    """The sections that have a key of this name, dotted; the root is `the top level`."""
    return [
        ".".join(path) or "the top level" for path, model in sections(root) if key in keys_of(model)
    ]
