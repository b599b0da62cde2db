"""What is wrong with a configuration, each with its place, and how a person is told."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from stream_processor.config.values import MASK, looks_secret, user_info_spans
from stream_processor.errors import ConfigurationError
from stream_processor.schema.display import printable

_LINE_LIMIT = 400
_SEARCHED_MAX = 10 * _LINE_LIMIT
_SHOWN_MAX = 100
"""Problems that are shown with their lines: nobody reads more, and a file can be made to cost."""
_KEY = re.compile(r"""(?<![A-Za-z0-9_.-])([A-Za-z0-9_.-]+)["']?\s*[:=]\s*""")
_REFERENCES = re.compile(r"""(["']?)(?:\$\{[^}]*\})+\1(?=[\s,}\]]|$)""")
_FLOW_VALUE = re.compile(r"""(?:"[^"\\]*"|'[^']*'|[^"'\[\]{},][^\[\]{},]*)(?=[,}\]])""")
_SPACED = re.compile(
    r"""(?<![A-Za-z0-9_.-])([A-Za-z0-9_.-]*(?:pass|secret|token|access_key)[A-Za-z0-9_.-]*)["']?\s+(?=[^\s:=])""",
    re.IGNORECASE,
)

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
    lines: tuple[str, ...] = field(repr=False)  # a file may hold secrets
    hidden: dict[int, list[tuple[int, int]]] = field(
        default_factory=dict, repr=False, compare=False
    )
    """By index of the line: the parts that the reader knows to be values of secret keys."""

    asked: list[int] = field(default_factory=list, repr=False, compare=False)
    """The lines that problems asked for so far."""

    def hide(self, first: Spot, last: Spot) -> None:
        """Never show what stands between two spots; called for each value of a secret key."""
        for index in range(first.line - 1, last.line):
            start = first.column - 1 if index == first.line - 1 else 0
            end = last.column - 1 if index == last.line - 1 else len(self.lines[index])
            if start < end:
                self.hidden.setdefault(index, []).append((start, end))

    def shown(self, spot: Spot) -> tuple[str, int]:
        """The line as it may be shown, without secrets, and the column of the spot in it."""
        if not 1 <= spot.line <= len(self.lines) or len(self.asked) >= _SHOWN_MAX:
            return "", spot.column
        self.asked.append(spot.line)
        line, column, moved = self.lines[spot.line - 1][:_SEARCHED_MAX], spot.column, 0
        shown = ""
        spans = secret_spans(self.lines, spot.line - 1)
        for start, end in _joined([*spans, *self.hidden.get(spot.line - 1, ())]):
            shown += line[len(shown) + moved : start] + MASK
            moved = end - len(shown)
            if spot.column > start:
                inside = len(shown) - len(MASK) + 1
                column = spot.column - moved if spot.column > end else inside
        return (shown + line[len(shown) + moved :])[:_LINE_LIMIT], column


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
    caret: int = 0
    """Column of the place in `source_line`, where secrets are shortened; 0 for none."""
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
    line, caret = text.shown(spot)
    return Problem(
        file=text.name,
        line=spot.line,
        column=spot.column,
        message=message,
        source_line=line,
        hint=hint,
        severity=severity,
        caret=caret,
        width=max(1, spot.width),
    )


def has_errors(problems: Iterable[Problem]) -> bool:
    """Whether any of the problems is more than a warning."""
    return any(problem.severity == "error" for problem in problems)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint with the nearest of the known words; empty where none is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f'did you mean "{near[0]}"?' if near else ""


def why_unreadable(error: OSError | ValueError) -> str:
    """Why a file could not be opened or read, in the system's words; never its path."""
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "name"


def render(problems: Iterable[Problem]) -> str:
    """Write problems as `file:line:column  severity  message`, the line, a caret and the hint.

    Called by the CLI for errors and warnings alike. Whatever came from a file is shown with control
    characters escaped; print it without markup.
    """
    ordered = sorted(problems, key=lambda each: (each.file, each.line, each.column))
    lines = [line for problem in ordered[:_SHOWN_MAX] for line in _render_one(problem)]
    if len(ordered) > _SHOWN_MAX:
        lines.append(f"and {len(ordered) - _SHOWN_MAX:,} more")
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
        before = visible(problem.source_line[: problem.caret - 1])
        marked = problem.source_line[problem.caret - 1 :][: problem.width]
        carets = "^" * max(1, len(visible(marked)))
        yield f"{problem.line:>5} | {visible(problem.source_line)}"
        if 0 < problem.caret <= _LINE_LIMIT:
            yield f"      | {' ' * len(before)}{carets}  {beside}".rstrip()
            hint = "" if beside else hint
    if hint:
        yield f"      |     hint: {hint}"


def visible(text: str) -> str:
    """Escape what cannot be seen. A bracket stays: it is YAML here, and markup is off."""
    return "[".join(printable(part, 2000) for part in text.split("["))


def secret_spans(lines: tuple[str, ...], index: int) -> list[tuple[int, int]]:
    """The parts of one line that may be secret: values of secret keys, and names in addresses.

    It works on the text alone, since a file that is not valid YAML must be shown too, and it errs
    towards masking. A value that is nothing but references is no secret.
    """
    line = lines[index][:_SEARCHED_MAX]
    indent = _indent(line)
    whole = [(indent, len(line))]
    if line[indent : indent + 1] == ":":  # the value of a key that stands alone after `?`
        return whole
    below = indent
    for above in reversed(lines[:index]):
        if above.strip() and _indent(above) < below:
            below = _indent(above)
            if any(end == len(above) for _, end in _values(above[:_SEARCHED_MAX])):
                return whole  # the line goes on with the value of a secret key above it
        if below == 0:
            break
    spaced = [(match.end(), len(line)) for match in _SPACED.finditer(line)]
    return _joined([*_values(line), *spaced, *user_info_spans(line)])


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sorted, and those that overlap as one."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _values(line: str) -> Iterator[tuple[int, int]]:
    """Where the values of secret keys stand, unless they are nothing but references.

    A value ends where a flow mapping (`{a: b, c: d}`) can go on, else at the end of the line.
    """
    at = 0
    while (match := _KEY.search(line, at)) is not None:
        at = match.end()
        if not looks_secret(match[1]):
            continue
        reference = _REFERENCES.match(line, at)
        if reference is not None and ":-" not in reference[0]:
            at = reference.end()
            continue
        flow = _FLOW_VALUE.match(line, at) if "{" in line[: match.start()] else None
        end = flow.end() if flow is not None else len(line)
        yield at, end
        at = end
