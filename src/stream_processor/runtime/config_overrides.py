"""`--set source.kafka.start=latest`: one key of the pipeline file, set for one run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from stream_processor.config.model import Model
from stream_processor.config.model_keys import KeyPath, is_open, keys_of, model_in
from stream_processor.config.pipeline import Pipeline
from stream_processor.config.values import MASK, ReferencedText, looks_secret
from stream_processor.runtime.config_problems import Spot, Text, did_you_mean, problem_at
from stream_processor.runtime.config_yaml import Document, Place, read_text


def apply_overrides(document: Document, overrides: Mapping[str, str]) -> None:
    """Put each override in the place of what the file says; called before references are resolved.

    A value that begins with `[` or `{` is read as YAML; any other is text, which the type of its
    key converts. An empty value takes the key back to its default.
    """
    if () in document.broken or not isinstance(document.value, dict | None):
        return
    if overrides:
        document.value = document.value or {}
    for name, text in overrides.items():
        _apply(document, name, text)


def _apply(document: Document, name: str, text: str) -> None:
    shown = MASK if looks_secret(name) else text.splitlines()[0] if text else ""
    flag = Text(f"--set {name}", (shown,))
    spot = Spot(1, 1, max(1, len(shown)))
    path, complaint, hint = _path(name)
    if complaint:  # the value is not shown: without its key, nobody knows what it is
        document.problems.append(problem_at(Text(flag.name, ()), Spot(0, 0), complaint, hint=hint))
        return
    value: Any = ReferencedText(text)
    document.broken -= {broken for broken in document.broken if broken[: len(path)] == path}
    inside: Iterable[KeyPath] = [()]
    if text[:1] in {"[", "{"}:
        read = read_text(flag.name, text)
        value, inside = read.value, read.places
        document.broken |= {(*path, *broken) for broken in read.broken}
        document.problems += [
            problem_at(flag, spot, each.message, hint=each.hint) for each in read.problems
        ]
    _put(document, path, value)
    for known in [known for known in document.places if known[: len(path)] == path]:
        del document.places[known]
    document.places |= {(*path, *below): Place(flag, spot, spot) for below in inside}


def _path(name: str) -> tuple[KeyPath, str, str]:
    """The path of a dotted name; below `properties` and `options` the rest is one key."""
    model: type[Model] | None = Pipeline
    keys = name.split(".")
    for index, key in enumerate(keys):
        known = keys_of(model) if model is not None else {}
        if key not in known:
            hint = did_you_mean(key, known) or f"known keys: {', '.join(known)}"
            return (), f'unknown key "{key}"', hint if known else ""
        if is_open(known[key]):
            rest = ".".join(keys[index + 1 :])
            return (*keys[: index + 1], *([rest] if rest else ())), "", ""
        model = model_in(known[key])
    return tuple(keys), "", ""


def _put(document: Document, path: KeyPath, value: Any) -> None:
    section = document.value
    for key in path[:-1]:
        if not isinstance(section.get(key), dict):
            section[key] = {}
        section = section[key]
    section[path[-1]] = value
