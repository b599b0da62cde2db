"""Drafts of fields as the text of a schema file, with `# TODO` where a person decides. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stream_processor.schema.compile import name_refusal
from stream_processor.schema.display import printable
from stream_processor.schema.inference import Draft
from stream_processor.schema.paths import parse_path

_LINE_LIMIT = 400
_PLAIN = re.compile(r"[A-Za-z][A-Za-z_.]*")
_YAML_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


@dataclass(frozen=True, slots=True)
class Named:
    """A draft with the name of its column; `path` is set where that is not the event's key."""

    draft: Draft
    name: str
    path: str | None = None


def named(drafts: Iterable[Draft]) -> tuple[list[Named], list[str]]:
    """Give every draft a name that a column may have; also the keys that no path can reach."""
    taken: set[str] = set()
    found: list[Named] = []
    lost: list[str] = []
    for draft in drafts:
        if not _reachable(draft.key):
            lost.append(draft.key)
            continue
        name = _free(_column(draft.key), taken)
        taken.add(name.casefold())
        found.append(Named(draft, name, None if name == draft.key else draft.key))
    return found, lost


def schema_text(name: str, fields: Sequence[Named], heading: Sequence[str]) -> str:
    """The whole file; `heading` becomes comments at its top."""
    lines = [f"# {printable(line, _LINE_LIMIT)}" for line in heading]
    lines += ["version: 1", f"name: {_scalar(_column(name))}", "fields:"]
    for each in fields:
        lines.append(_line(each))
        lines += [f"    # TODO {printable(todo, _LINE_LIMIT)}" for todo in each.draft.todos]
    return "\n".join(lines) + "\n"


def settings_of(each: Named) -> dict[str, object]:
    """One field as the values that its line in the file has."""
    draft = each.draft
    settings = {
        "name": each.name,
        "type": draft.type,
        "required": draft.required or None,
        "from": each.path,
        "formats": draft.formats or None,
        "timezone": draft.timezone,
        "on_error": draft.on_error,
    }
    return {key: value for key, value in settings.items() if value is not None}


def _line(each: Named) -> str:
    inner = ", ".join(f"{key}: {_value(value)}" for key, value in settings_of(each).items())
    return f"  - {{{inner}}}"


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return "true" if value is True else _scalar(str(value))


def _scalar(text: str) -> str:
    """Plain where YAML cannot take it for anything but this text, else in quotes."""
    if _PLAIN.fullmatch(text) and text.lower() not in _YAML_WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)


def _reachable(key: str) -> bool:
    try:
        return parse_path(key) == (key,) and key.isprintable()
    except ValueError:
        return False


def _column(key: str) -> str:
    name = re.sub(r"\W", "_", key) or "field"
    if name_refusal(name) is not None:
        name = name.lstrip("_")  # which makes a reserved name free
    return name if name_refusal(name) is None else f"field_{name}"


def _free(name: str, taken: set[str]) -> str:
    tries, found = 1, name
    while found.casefold() in taken:
        tries += 1
        found = f"{name}_{tries}"
    return found
