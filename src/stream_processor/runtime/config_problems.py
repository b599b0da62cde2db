"""What is wrong with a configuration, each with its place, and how a person is told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from stream_processor.config.values import MASK, looks_secret
from stream_processor.errors import ConfigurationError
from stream_processor.schema.display import printable

_LINE_LIMIT = 400
_KEY = re.compile(r"""(?<![A-Za-z0-9_.-])([A-Za-z0-9_.-]+)["']?\s*[:=]\s*""")
_REFERENCES = re.compile(r"""["']?(?:\$\{[^}]*\})+["']?[\s,}]*(?:#.*)?""")
_USER_INFO = re.compile(r"(://)[^/\s@]*@")

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a text: line and column from 1, and how many characters it covers."""

    line: int
    column: int
    width: int = 1


@dataclass(frozen=True, slots=True)
class Text:
    """A file, flag or other text that is being read: the name a person knows, and its lines."""

    name: str
    lines: tuple[str, ...]

    def shown(self, number: int) -> str:
        """The line as it may be shown: without secrets, though not yet without odd characters."""
        if not 1 <= number <= len(self.lines):
            return ""
        return _without_secrets(self.lines, number - 1)[:_LINE_LIMIT]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, in words for a person; `line` is 0 where there is no place.

    It never holds a secret: `source_line` is what `Text.shown` gives, `message` is made of names,
    types and rules.
    """

    file: str
    line: int
    column: int
    message: str
    source_line: str = ""
    hint: str = ""
    severity: Severity = "error"
    width: int = 1


class InvalidConfiguration(ConfigurationError):
    """All that is wrong with the configuration, found in one go. `str(error)` is the whole report.

    The CLI prints it as it is and ends with exit code 2.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(render(self.problems))


def problem_at(
    text: Text, spot: Spot, message: str, *, hint: str = "", severity: Severity = "error"
) -> Problem:
    """Make a problem of a place in a text; called by every part of the loader."""
    line = text.shown(spot.line)
    return Problem(
        text.name, spot.line, spot.column, message, line, hint, severity, max(1, spot.width)
    )


def render(problems: Iterable[Problem]) -> str:
    """Write problems as `file:line:column  severity  message`, the line, a caret and the hint.

    Called by the CLI for errors and warnings alike. Whatever came from a file is shown with control
    characters escaped; print it without markup.
    """
    ordered = sorted(problems, key=lambda each: (each.file, each.line, each.column))
    lines = [line for problem in ordered for line in _render_one(problem)]
    counts = [_count(ordered, "error"), _count(ordered, "warning")]
    return "\n".join([*lines, "", ", ".join(filter(None, counts))])


def _count(problems: list[Problem], severity: Severity) -> str:
    number = sum(1 for problem in problems if problem.severity == severity)
    return f"{number} {severity}{'' if number == 1 else 's'}" if number else ""


def _render_one(problem: Problem) -> Iterator[str]:
    place = f":{problem.line}:{problem.column}" if problem.line else ""
    where = f"{visible(problem.file)}{place}"
    yield f"{where}  {problem.severity:<7}  {visible(problem.message)}"
    hint = visible(problem.hint)
    beside = hint if hint.startswith("did you mean") else ""
    if problem.source_line.strip():
        before = visible(problem.source_line[: problem.column - 1])
        marked = problem.source_line[problem.column - 1 :][: problem.width]
        carets = "^" * max(1, len(visible(marked)))
        yield f"{problem.line:>5} | {visible(problem.source_line)}"
        if problem.column <= _LINE_LIMIT:
            yield f"      | {' ' * len(before)}{carets}  {beside}".rstrip()
            hint = "" if beside else hint
    if hint:
        yield f"      |     hint: {hint}"


def visible(text: str) -> str:
    """Escape what cannot be seen. A bracket stays: it is YAML here, and markup is off."""
    return "[".join(printable(part, 2000) for part in text.split("["))


def _without_secrets(lines: tuple[str, ...], index: int) -> str:
    """Mask the values of secret keys in one line, and the line when it goes on with such a value.

    It works on the text alone, since a file that is not valid YAML must be shown too, and it errs
    towards masking. A value that is nothing but references is no secret.
    """
    line = lines[index]
    indent = _indent(line)
    if line[indent : indent + 1] == ":":  # the value of a key that stands alone after `?`
        return " " * indent + MASK
    for above in reversed(lines[:index]):
        if not above.strip():
            continue
        if _indent(above) < indent:
            if _secret_at(above) is not None:
                return " " * indent + MASK
            indent = min(indent, _indent(above))
        if indent == 0:
            break
    start = _secret_at(line)
    shown = line if start is None else line[:start] + MASK
    return _USER_INFO.sub(rf"\1{MASK}@", shown)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _secret_at(line: str) -> int | None:
    """Where the value of the first secret key begins, unless it is nothing but references."""
    for match in _KEY.finditer(line):
        value = line[match.end() :]
        only_references = _REFERENCES.fullmatch(value) and ":-" not in value
        if looks_secret(match[1]) and not only_references:
            return match.end()
    return None
