"""`config show`: the configuration that counts, where each value came from, and no secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from stream_processor.config.model import Model
from stream_processor.config.model_keys import KeyPath
from stream_processor.config.pipeline import Pipeline
from stream_processor.config.units import Duration, Size
from stream_processor.config.values import MASK, looks_secret, without_user_info
from stream_processor.runtime.config_loader import LoadedPipeline
from stream_processor.runtime.config_validation import dotted

Plain = str | int | float | bool | list[str] | None


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of the effective configuration. `value` is fit for JSON, secrets are `***`."""

    key: str
    value: Plain
    origin: str
    """`default`, `pipeline.yaml:12`, `variable NAME (pipeline.yaml:12)`, `--set the.key`, or
    `default, from the.key` where the default is another setting."""


def show_config(loaded: LoadedPipeline) -> tuple[Setting, ...]:
    """List every setting in the order of the reference page. Called by the CLI, which prints it."""
    return tuple(_settings(loaded, (), loaded.pipeline))


def _settings(loaded: LoadedPipeline, path: KeyPath, model: Model) -> Iterator[Setting]:
    for name, field in type(model).model_fields.items():
        key, value = (*path, field.alias or name), getattr(model, name)
        if isinstance(value, tuple) and value and isinstance(value[0], Model):
            for index, item in enumerate(value):
                yield from _settings(loaded, (*key, index), item)
        elif path and isinstance(path[-1], int) and name not in model.model_fields_set:
            continue  # of a step only what it says
        elif isinstance(value, Model):
            yield from _settings(loaded, key, value)
        elif isinstance(value, Mapping):
            for inner, text in value.items():
                shown = MASK if looks_secret(inner) else without_user_info(text)
                yield Setting(dotted((*key, inner)), shown, _origin(loaded, (*key, inner)))
        else:
            yield _setting(loaded, key, value)


def _setting(loaded: LoadedPipeline, path: KeyPath, value: Any) -> Setting:
    derived = _derived(loaded.pipeline).get(path)
    if derived is not None and path not in loaded.places:
        return Setting(dotted(path), derived[0], f"default, from {derived[1]}")
    return Setting(dotted(path), _plain(value), _origin(loaded, path))


def _derived(pipeline: Pipeline) -> dict[KeyPath, tuple[Plain, str]]:
    """What stands where nothing is set, and the key that it follows from."""
    derived: dict[KeyPath, tuple[Plain, str]] = {
        ("id",): (pipeline.pipeline_id, "name"),
        ("source", "kafka", "group_id"): (pipeline.group_id, "id" if pipeline.id else "name"),
        ("dlq", "table"): (pipeline.dead_letter_table, "sink.delta.table"),
        ("dlq", "storage"): ("as sink.delta.storage", "sink.delta.storage"),
    }
    if pipeline.sink.delta.storage.allow_http:
        derived["sink", "delta", "storage", "allow_http"] = (True, "endpoint")
    if pipeline.dlq.storage is not None and pipeline.dlq.storage.allow_http:
        derived["dlq", "storage", "allow_http"] = (True, "endpoint")
    return derived


def _plain(value: Any) -> Plain:
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, Duration | Size):
        return value.in_words()
    if isinstance(value, tuple):
        return [without_user_info(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return without_user_info(value)


def _origin(loaded: LoadedPipeline, path: KeyPath) -> str:
    place = loaded.places.get(path)
    if place is None:
        return "default"
    if place.text.name.startswith("--set "):
        return place.text.name
    where = f"{place.text.name}:{place.value.line}"
    given = [text for at, text in loaded.origins.items() if at[: len(path)] == path]
    return f"{', '.join(dict.fromkeys(given))} ({where})" if given else where
