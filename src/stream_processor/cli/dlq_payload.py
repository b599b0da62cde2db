"""The payload of a dead letter on a terminal: pretty, raw or in hexadecimal, its failure marked.

Whatever the bytes are, only what `printable` makes of them is shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from rich.cells import cell_len

from stream_processor.schema.display import printable
from stream_processor.schema.paths import Path, parse_path

Form = Literal["pretty", "raw", "hex"]

_RAW_BYTES = 72
_HEX_BYTES = 16
_TOKEN_LIMIT = 2_000
_MARKS_MAX = 20
_TOKEN = re.compile(rb'[ \t\r\n]*([{}\[\],:]|"(?:[^"\\]|\\.)*"|[^ \t\r\n{}\[\],:"]+)', re.DOTALL)


class Mark(NamedTuple):
    """Where it failed: a byte of the value, or the path of a field; and what to say there."""

    place: int | Path
    words: str


class Line(NamedTuple):
    """One line; the words stand below it, under the column."""

    text: str
    column: int = 0
    words: tuple[str, ...] = ()


def path_of(code: str, field_path: str) -> Path:
    """Where a field that failed stands in the event."""
    if code == "field.unknown":  # a key of the event, whatever letters it has
        return (field_path,)
    try:
        return parse_path(field_path)
    except ValueError:
        return (field_path,)


def shown(value: bytes, form: Form, marks: Sequence[Mark], lines_max: int) -> list[str]:
    """At most so many lines of the value, and the marks below theirs. Called by `dlq show`.

    `pretty` needs JSON; a mark at a byte needs `raw` or `hex`, one at a path `pretty`; others are
    not shown. Lines around the first mark are never left out.
    """
    if form == "pretty":
        paths = [(mark.place, mark.words) for mark in marks if isinstance(mark.place, tuple)]
        lines = _pretty(value, paths)
    else:
        words = {mark.place: mark.words for mark in marks if isinstance(mark.place, int)}
        lines = [*(_hex(value, words) if form == "hex" else _raw(value, words))]
    return [*_window(lines, lines_max)]


def _window(lines: Sequence[Line], lines_max: int) -> Iterator[str]:
    first = next((index for index, line in enumerate(lines) if line.words), 0)
    begin = 0 if first < lines_max else first - lines_max // 2
    if begin:
        yield f"… lines before: {begin:,}"
    for line in lines[begin : begin + lines_max]:
        yield line.text
        for words in line.words:
            yield " " * line.column + "^ " + printable(words, _TOKEN_LIMIT)
    if begin + lines_max < len(lines):
        yield f"… lines behind: {len(lines) - begin - lines_max:,}"


def _raw(value: bytes, marks: Mapping[int, str]) -> Iterator[Line]:
    """The text as it came; a line break of its own also breaks the line here."""
    for begin, piece in _pieces(value):
        here = [place for place in marks if _within(place, begin, piece, value)]
        if not here:
            yield Line(printable(piece, _TOKEN_LIMIT))
            continue
        place = here[0] - begin
        before = printable(piece[:place], _TOKEN_LIMIT)
        text = before + printable(piece[place:], _TOKEN_LIMIT)
        yield Line(text, cell_len(before), tuple(marks[each] for each in here))


def _pieces(value: bytes) -> Iterator[tuple[int, bytes]]:
    begin = 0
    while begin < len(value):
        end = min(begin + _RAW_BYTES, len(value))
        line_end = value.find(b"\n", begin, end) + 1
        end = line_end or _between_letters(value, end)
        yield begin, value[begin:end]
        begin = end


def _between_letters(value: bytes, end: int) -> int:
    """The same place, or up to three bytes before it: a letter has at most four."""
    for place in range(end, end - 4, -1):
        if place == len(value) or value[place] & 0xC0 != 0x80:
            return place
    return end


def _within(place: int, begin: int, piece: bytes, value: bytes) -> bool:
    """The end of the value belongs to its last piece."""
    end = begin + len(piece)
    return begin <= place < end or place == end == len(value)


def _hex(value: bytes, marks: Mapping[int, str]) -> Iterator[Line]:
    for begin in range(0, len(value), _HEX_BYTES):
        piece = value[begin : begin + _HEX_BYTES]
        letters = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in piece)
        text = f"{begin:08x}  {piece.hex(' '):<{3 * _HEX_BYTES}} {printable(letters, 99)}"
        here = [place for place in marks if _within(place, begin, piece, value)]
        if not here:
            yield Line(text)
            continue
        place = here[0] - begin
        yield Line(text, 10 + 3 * place, tuple(marks[each] for each in here))


def _pretty(value: bytes, marks: Sequence[tuple[Path, str]]) -> list[Line]:
    printer = _Printer()
    for token in _TOKEN.findall(value):
        printer.take(token)
    printer.flush()
    words: dict[int, list[str]] = {}
    columns: dict[int, int] = {}
    for path, said in marks[:_MARKS_MAX]:
        line, column = printer.nearest(path)
        words.setdefault(line, []).append(said)
        columns.setdefault(line, column)
    return [
        Line(text, columns.get(index, 0), tuple(words.get(index, ())))
        for index, text in enumerate(printer.lines)
    ]


class _Printer:
    """One member or item per line, every token as it was written, and where each value stands."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._text = ""
        self._open: list[str | int | None] = []  # the key or index at hand in each open bracket
        self._just_opened = False
        self._places: dict[Path, tuple[int, int]] = {(): (0, 0)}

    def take(self, token: bytes) -> None:
        """Put the next token where it belongs."""
        if token in (b"}", b"]"):
            self._close(token)
            return
        if self._just_opened:
            self.flush()
        if token == b",":
            self._text += ","
            self.flush()
            if self._open:
                at = self._open[-1]
                self._open[-1] = at + 1 if isinstance(at, int) else None
        elif token == b":":
            self._text += ": "
        elif self._open and self._open[-1] is None:
            self._open[-1] = _key(token)
            self._text += printable(token, _TOKEN_LIMIT)
        else:
            self._value(token)

    def flush(self) -> None:
        """End the line."""
        self._just_opened = False
        if self._text.strip():
            self.lines.append(self._text)
        self._text = "  " * len(self._open)

    def nearest(self, path: Path) -> tuple[int, int]:
        """Line and column of the value, or of the innermost one around where it should be."""
        while path not in self._places:
            path = path[:-1]
        return self._places[path]

    def _value(self, token: bytes) -> None:
        path = tuple(step for step in self._open if step is not None)
        self._places[path] = (len(self.lines), cell_len(self._text))
        if token not in (b"{", b"["):
            self._text += printable(token, _TOKEN_LIMIT)
        else:  # as it is: what follows on its line is never a letter, as markup needs it
            self._text += token.decode()
            self._open.append(0 if token == b"[" else None)
            self._just_opened = True

    def _close(self, token: bytes) -> None:
        if self._open:
            self._open.pop()
        if self._just_opened:  # nothing inside: stays on its line
            self._just_opened = False
        else:
            self.flush()
        self._text += token.decode()


def _key(token: bytes) -> str:
    try:
        return str(json.loads(token))
    except ValueError:  # cut short by a mask
        return token.decode("utf-8", "replace")
