"""`${VAR}`, `${VAR:-x}`, `${VAR:?why}`, `${file:path}` and `$${` inside the values of a file.

They are resolved after the file was parsed, inside one text at a time, so that a variable can
never add a key or change the shape of the file; the type of the place decides what it becomes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stream_processor.config.model_keys import KeyPath
from stream_processor.config.values import ReferencedText
from stream_processor.runtime.config_problems import Spot, problem_at, why_unreadable
from stream_processor.runtime.config_yaml import Document

VALUE_BYTES_MAX = 64 * 2**10

_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_BODY = re.compile(r"(?s:(file):(.+)|([A-Za-z_][A-Za-z0-9_]*)(?:(:-|:\?)(.*))?)")


class _Unresolved(Exception):
    """One reference has no value: the message, and what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


@dataclass(frozen=True, slots=True)
class References:
    """Where references are looked up, and what was found. One per pipeline file."""

    environment: Mapping[str, str]
    folder: Path
    origins: dict[KeyPath, str] = field(default_factory=dict)
    """For each value with a reference: where it comes from, like `variable KAFKA_TOPICS`."""

    def resolve(self, document: Document) -> None:
        """Replace every reference in the document by its value; what has none is a problem.

        An entry of a mapping whose references give nothing at all is left out, so that its default
        applies.
        """
        document.value = self._walk(document, (), document.value)

    def _walk(self, document: Document, path: KeyPath, value: Any) -> Any:
        # Recursion is bounded: the reader refuses files nested deeper than DEPTH_MAX.
        if isinstance(value, dict):
            items = {key: self._walk(document, (*path, key), item) for key, item in value.items()}
            return {key: item for key, item in items.items() if not _is_nothing(item)}
        if isinstance(value, tuple):
            return tuple(self._walk(document, (*path, i), item) for i, item in enumerate(value))
        if isinstance(value, str) and "${" in value:
            return self._text(document, path, value)
        return value

    def _text(self, document: Document, path: KeyPath, text: str) -> str:
        origins: list[str] = []
        escaped = False

        def replace(match: re.Match[str]) -> str:
            nonlocal escaped
            if match[0] == "$${":
                escaped = True
                return "${"
            try:
                value, origin = self._lookup(match[1])
            except _Unresolved as error:
                _complain(document, path, match[0], error)
                return ""
            origins.append(origin)
            return value

        resolved = _REFERENCE.sub(replace, text)
        if origins:
            self.origins[path] = ", ".join(dict.fromkeys(origins))
        return resolved if escaped and not origins else ReferencedText(resolved)

    def _lookup(self, body: str | None) -> tuple[str, str]:
        """The value of one reference, and where it comes from."""
        match = _BODY.fullmatch(body) if body is not None else None
        if match is None:
            raise _Unresolved(
                "not a reference",
                "write ${NAME}, ${NAME:-default}, ${NAME:?why} or ${file:path}, one not inside "
                "another; $${ is a plain ${",
            )
        if match[1]:
            what = f"the file {match[2]}"
            return _read(self.folder / match[2], what), f"file {match[2]}"
        return self._variable(match[3], match[4], match[5] or "")

    def _variable(self, name: str, operator: str | None, rest: str) -> tuple[str, str]:
        value, origin = self._set_value(name)
        if value or (value is not None and operator is None):
            return value, origin
        if operator == ":-":
            return rest, f"default of variable {name}"
        state = "is empty" if value is not None else "is not set"
        raise _Unresolved(
            f"environment variable {name} {state}" + (f": {rest}" if rest else ""),
            f"export it, or write ${{{name}:-a default}}",
        )

    def _set_value(self, name: str) -> tuple[str | None, str]:
        """What the environment says: the variable, or the file that NAME_FILE names."""
        by_file = self.environment.get(f"{name}_FILE")
        if name in self.environment:
            if by_file is not None:
                raise _Unresolved(f"{name} and {name}_FILE are both set", "keep one of them")
            value = self.environment[name]
            if re.search("[\n\r\x00\ud800-\udfff]", value):
                raise _Unresolved(
                    f"environment variable {name} holds a line break or a character that is not "
                    "text",
                    "put the value into a file and write ${file:path}",
                )
            return value, f"variable {name}"
        if by_file is not None:
            # Not named: it may be the secret itself, put into the wrong variable.
            what = f"the file that {name}_FILE names"
            return _read(Path(by_file), what), f"file {by_file} (variable {name}_FILE)"
        return None, ""


def _is_nothing(value: Any) -> bool:
    return isinstance(value, ReferencedText) and not value


def _read(path: Path, what: str) -> str:
    """A small text file without the line break at its end."""
    try:
        if not path.is_file():
            raise _Unresolved(f"{what} does not exist")
        with path.open("rb") as file:
            data = file.read(VALUE_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        raise _Unresolved(f"{what} cannot be read: {why_unreadable(error)}") from error
    if len(data) > VALUE_BYTES_MAX:
        raise _Unresolved(f"{what} is larger than {VALUE_BYTES_MAX:,} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _Unresolved(f"{what} is not UTF-8 text") from error
    if "\x00" in text:
        raise _Unresolved(f"{what} is not text")
    return text.removesuffix("\n").removesuffix("\r")


def _complain(document: Document, path: KeyPath, reference: str, error: _Unresolved) -> None:
    """Point at the reference itself where it can be found in its line, else at the value."""
    place = document.place(path)
    line = place.text.lines[place.value.line - 1]
    column = line.find(reference, place.value.column - 1) + 1
    spot = Spot(place.value.line, column, len(reference)) if column else place.value
    document.problems.append(problem_at(place.text, spot, error.message, hint=error.hint))
    document.broken.add(path)
