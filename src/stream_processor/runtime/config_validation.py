"""From plain values with places to typed values, with every objection at its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from stream_processor.config.findings import Finding, Rule
from stream_processor.config.model import Model
from stream_processor.config.model_keys import (
    KeyPath,
    fields_of,
    homes,
    keys_of,
    model_at,
    model_in,
)
from stream_processor.config.values import shown_key
from stream_processor.runtime.config_problems import (
    Problem,
    Spot,
    did_you_mean,
    has_errors,
    problem_at,
)
from stream_processor.runtime.config_yaml import Document

M = TypeVar("M", bound=Model)
_REQUIRED_MAX = 8  # levels of required sections inside each other; the models have four

_EXPECTED: Mapping[str, str] = {
    "string_type": "expected text; a number or true/false needs quotes to be text",
    "string_sub_type": "expected text",
    "string_too_short": "expected some text, it is empty",
    "int_type": "expected a whole number",
    "bool_type": "expected true or false",
    "tuple_type": "expected a list",
    "dict_type": "expected names and values (a mapping)",
    "model_type": "expected keys and values (a mapping)",
}


def validate(document: Document, model: type[M]) -> M | None:
    """Make the typed value of a whole document, or add what is wrong to its problems.

    Called by the loader once per file. Afterwards `document.broken` has every path with an error.
    """
    if () in document.broken:
        return None
    if document.value is None:
        document.complain((), "the file is empty", hint=_smallest(model))
        return None
    version = document.value.get("version") if isinstance(document.value, dict) else None
    if version is not None and (version != 1 or version is True):
        document.complain(("version",), "expected version: 1, the only one that this release reads")
    try:
        value = model.model_validate(document.value, strict=True)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            _complain(document, model, detail)
        return None
    return None if has_errors(document.problems) else value


def apply_rules(document: Document, rules: Iterable[Rule]) -> None:
    """Run every rule whose section and keys could be read; add what they find.

    Called by the loader after `validate`, also when that found errors elsewhere in the file.
    """
    for rule in rules:
        section = readable_section(document, rule.section, rule.model, rule.reads)
        if section is None:
            continue
        for finding in rule.check(section):
            add_finding(document, rule.section, finding)


def add_finding(document: Document, section: KeyPath, finding: Finding) -> None:
    """Give a finding its place: the value it names, or the key of the section around it."""
    path = (*section, *finding.path)
    place = document.place(path)
    spot = place.value if path in document.places and finding.path else (place.key or place.value)
    message = f"{dotted(path)}: {finding.message}" if path else finding.message
    document.problems.append(
        problem_at(place.text, spot, message, hint=finding.hint, severity=finding.severity)
    )


def without(value: Any, paths: Iterable[KeyPath]) -> Any:
    """A copy of plain values without the entries at these paths."""
    below: dict[str | int, list[KeyPath]] = {}
    for path in paths:
        if path:
            below.setdefault(path[0], []).append(path[1:])
    if isinstance(value, dict):
        pairs = value.items()
        return {k: without(v, below.get(k, ())) for k, v in pairs if () not in below.get(k, ())}
    if isinstance(value, tuple):
        items = enumerate(value)
        return tuple(without(v, below.get(i, ())) for i, v in items if () not in below.get(i, ()))
    return value


def readable_section(
    document: Document, section: tuple[str, ...], model: type[M], reads: Iterable[str]
) -> M | None:
    """The section without what is broken in it, or None when one of the keys cannot be read."""
    paths = [(*section, key) for key in reads]
    if any(_touches(broken, path) for broken in document.broken for path in paths):
        return None
    value = without(document.value, document.broken)
    for key in section:
        value = value.get(key) if isinstance(value, dict) else None
    return _model_of_readable(model, value) if isinstance(value, dict) else None


def _model_of_readable(model: type[M], value: dict[str, Any]) -> M | None:
    """The typed section, with stand-ins for required keys that are missing or broken."""
    for _ in range(_REQUIRED_MAX):
        try:
            return model.model_validate(value, strict=True)
        except ValidationError as error:
            missing = [each["loc"] for each in error.errors() if each["type"] == "missing"]
            if len(missing) < error.error_count():
                return None
            for path in missing:
                _stand_in(model, value, path)
    return None


def _touches(one: KeyPath, other: KeyPath) -> bool:
    """Whether one path is the other, or above or below it."""
    return all(left == right for left, right in zip(one, other, strict=False))


def _stand_in(model: type[Model], value: Any, path: KeyPath) -> None:
    """Fill in a missing key, so that the others can be judged; no rule looks at this one."""
    section = model_at(model, path[:-1])
    annotation = keys_of(section).get(str(path[-1])) if section is not None else None
    for key in path[:-1]:
        value = value[key]
    literal = get_args(annotation) if get_origin(annotation) is Literal else None
    value[path[-1]] = literal[0] if literal else {} if model_in(annotation) else "?"


def _complain(document: Document, model: type[Model], detail: ErrorDetails) -> None:
    path = _known_part(document, detail)
    if any(path[:length] in document.broken for length in range(len(path) + 1)):
        return
    document.broken.add(path)
    document.problems.append(_problem(document, model, path, detail))


def _known_part(document: Document, detail: ErrorDetails) -> KeyPath:
    """The path in the file; pydantic's own goes on with the member of a union that it tried."""
    path: KeyPath = detail["loc"]
    if detail["type"] == "missing":
        return path
    while path and path not in document.places:
        path = path[:-1]
    return path


def _problem(
    document: Document, model: type[Model], path: KeyPath, detail: ErrorDetails
) -> Problem:
    place = document.place(path)
    kind, spot, inside = detail["type"], place.value, dotted(path[:-1])
    where = f" in {inside}" if inside else ""
    if kind == "extra_forbidden":
        message, hint = (
            f'unknown key "{shown_key(str(path[-1]))}"{where}',
            _where_it_belongs(model, path),
        )
        return problem_at(place.text, place.key or spot, message, hint=hint)
    if kind == "missing":
        message, hint = f'the key "{path[-1]}" is missing{where}', _meaning(model, path)
        if path in document.places:
            message, hint = f"{dotted(path)}: its references give nothing", ""
        spot = (place.key or Spot(spot.line, spot.column)) if path[:-1] else Spot(1, 1)
        return problem_at(place.text, spot, message, hint=hint)
    words, hint = _wrong_value(document, path, detail)
    message = f"{dotted(path)}: {words}" if path else words
    return problem_at(place.text, spot, message, hint=hint)


def _wrong_value(document: Document, path: KeyPath, detail: ErrorDetails) -> tuple[str, str]:
    """What was expected, in words, and a hint. Never the value itself: it may be a secret."""
    value = _value_at(document, path)
    if value is None:
        return "has no value", "leave the key out, or give it a value"
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "literal_error":
        expected = str(context["expected"]).replace("'", "")
        choices = expected.replace(" or ", ", ").split(", ")
        return f"expected {expected}", did_you_mean(str(value), choices)
    if kind == "string_pattern_mismatch":
        return "expected 1 to 128 letters, digits, '.', '_' or '-'", ""
    if kind == "value_error":
        return str(context["error"]), ""
    if kind in _EXPECTED:
        return _EXPECTED[kind], ""
    words = detail["msg"].replace("Input should be", "expected").replace("valid ", "")
    return words[:1].lower() + words[1:], ""


def _value_at(document: Document, path: KeyPath) -> Any:
    value = document.value
    for key in path:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return ""
    return value


def _where_it_belongs(model: type[Model], path: KeyPath) -> str:
    """Help with an unknown key: the nearest key of its section, or the section that has it."""
    section, key = model_at(model, path[:-1]), str(path[-1])
    known = list(keys_of(section)) if section is not None else []
    if near := did_you_mean(key, known):
        return near
    if elsewhere := homes(model, key):
        return f"it is a key of {', '.join(elsewhere)}"
    return f"known keys here: {', '.join(known)}"


def _meaning(model: type[Model], path: KeyPath) -> str:
    section = model_at(model, path[:-1])
    if section is None:
        return ""
    field = fields_of(section).get(str(path[-1]))
    description = (field.description if field is not None else None) or ""
    return " ".join(description.replace("`", "").split())


def _smallest(model: type[Model]) -> str:
    required = [key for key, field in fields_of(model).items() if field.is_required()]
    return f"it needs at least {', '.join(required)}"


def dotted(path: KeyPath) -> str:
    """A path as a person writes it: `source.kafka.topics[0]`."""
    text = ""
    for key in path:
        text += (
            f"[{key}]" if isinstance(key, int) else f".{shown_key(key)}" if text else shown_key(key)
        )
    return text
