"""YAML to plain values, each with its place. A small, safe part of YAML, strictly.

Built on the events of PyYAML's parser, not on its loader: there are no tags and no objects, a
number is a number only as JSON writes it (so `NO` is text), keys are text, and nothing grows
(anchors and merge keys are refused). Why not another library: docs/decisions/0004.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NoReturn

import yaml
from yaml import events

from stream_processor.config.model_keys import KeyPath
from stream_processor.config.values import looks_secret, shown_key
from stream_processor.runtime.config_problems import Problem, Spot, Text, problem_at

FILE_BYTES_MAX = 2**20
NODES_MAX = 20_000
DEPTH_MAX = 32
_NUMBER_CHARS_MAX = 400

_LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # what PyYAML counts as the end of a line
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)")
_FRACTION = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_WORDS: Mapping[str, bool | None] = {
    "": None,
    "~": None,
    "null": None,
    "true": True,
    "false": False,
}
_BARE_REFERENCES = re.compile(r"(?:\$\{(?:(?!:-)[^}])*\})+")
_NOT_TEXT = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value, and the key before it, were written."""

    text: Text
    value: Spot
    key: Spot | None = None


@dataclass(slots=True)
class Document:
    """A text that was read: its values, their places, and what is wrong with it.

    `broken` are paths whose value could not be read; nothing more is to be said about them.
    Values are dict, tuple, str, int, Decimal, bool and None.
    """

    text: Text
    value: Any = None
    places: dict[KeyPath, Place] = field(default_factory=dict)
    broken: set[KeyPath] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def place(self, path: KeyPath) -> Place:
        """The place of the path, or of the nearest value around it."""
        while path not in self.places and path:
            path = path[:-1]
        return self.places.get(path, Place(self.text, Spot(1, 1)))

    def complain(self, path: KeyPath, message: str, *, hint: str = "") -> None:
        """Add an error at the value of the path; the value counts as broken."""
        place = self.place(path)
        self.problems.append(problem_at(place.text, place.value, message, hint=hint))
        self.broken.add(path)


class _StopReading(Exception):
    """The text cannot be read any further; the reason is in the document's problems."""


def read_yaml(name: str, data: bytes) -> Document:
    """Read one YAML document. Never raises for bad data: see `Document.problems`.

    Called by the loader for each file. Bounded by FILE_BYTES_MAX, NODES_MAX and DEPTH_MAX.
    """
    if len(data) > FILE_BYTES_MAX:
        return _unreadable(name, "", 0, f"the file is larger than {FILE_BYTES_MAX:,} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", "replace")
        return _unreadable(name, before, len(before), "the file is not UTF-8 text")
    return read_text(name, text)


def read_text(name: str, text: str) -> Document:
    """Read YAML from text; like `read_yaml`."""
    document = Document(Text(name, tuple(_LINE_END.split(text))))
    reader = _Reader(document)
    try:
        for event in yaml.parse(text, Loader=yaml.BaseLoader):
            reader.feed(event)
    except _StopReading:
        pass
    except yaml.reader.ReaderError as error:
        message = "the file holds a control character"
        return _unreadable(name, text, int(error.position), message)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        spot = reader.spot if mark is None else Spot(mark.line + 1, mark.column + 1)
        reader.give_up(spot, f"not valid YAML: {error.problem or error.context}")
    except (ValueError, OverflowError):  # PyYAML on an escape or a directive with a huge number
        reader.give_up(reader.spot, "not valid YAML: a number out of range after this place")
    return document


def _unreadable(name: str, text: str, position: int, message: str) -> Document:
    lines = tuple(_LINE_END.split(text))
    before = _LINE_END.split(text[:position])
    document = Document(Text(name, lines), broken={()})
    spot = Spot(len(before), len(before[-1]) + 1)
    document.problems.append(problem_at(document.text, spot, message))
    return document


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not come yet."""

    path: KeyPath
    items: dict[str, Any] | list[Any]
    key: str | None = None
    key_spot: Spot | None = None
    seen: dict[str, Spot] = field(default_factory=dict)


class _Reader:
    """Takes parser events one by one and fills the document. No recursion."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.spot = Spot(1, 1)
        self.nodes = 0
        self.stack: list[_Open] = []
        self.finished = False
        self.handlers: Mapping[type, Callable[[Any], None]] = {
            events.ScalarEvent: self.scalar,
            events.AliasEvent: self.alias,
            events.MappingStartEvent: lambda event: self.begin(event, {}),
            events.SequenceStartEvent: lambda event: self.begin(event, []),
            events.MappingEndEvent: self.end,
            events.SequenceEndEvent: self.end,
            events.DocumentStartEvent: self.start,
        }

    def feed(self, event: events.Event) -> None:
        mark, end = event.start_mark, event.end_mark
        if mark is not None and end is not None:
            width = end.column - mark.column if end.line == mark.line else 1
            self.spot = Spot(mark.line + 1, mark.column + 1, max(1, width))
        self.nodes += isinstance(event, events.NodeEvent) and not self.awaits_key()
        if self.nodes > NODES_MAX:
            self.stop(f"more than {NODES_MAX:,} values")
        handler = self.handlers.get(type(event))
        if handler is not None:
            handler(event)

    def refuse(self, spot: Spot, message: str, hint: str = "") -> None:
        self.document.problems.append(problem_at(self.document.text, spot, message, hint=hint))
        self.document.broken.add(self.path())

    def give_up(self, spot: Spot, message: str) -> None:
        self.refuse(spot, message)
        self.document.broken.add(())

    def stop(self, message: str) -> NoReturn:
        self.give_up(self.spot, message)
        raise _StopReading

    def path(self) -> KeyPath:
        """Where the next value goes."""
        if not self.stack:
            return ()
        top = self.stack[-1]
        if isinstance(top.items, list):
            return (*top.path, len(top.items))
        return top.path if top.key is None else (*top.path, top.key)

    def awaits_key(self) -> bool:
        return (
            bool(self.stack)
            and isinstance(self.stack[-1].items, dict)
            and self.stack[-1].key is None
        )

    def start(self, _event: events.DocumentStartEvent) -> None:
        if self.finished:
            self.stop("a second document begins here; one file holds one")

    def scalar(self, event: events.ScalarEvent) -> None:
        if self.awaits_key():
            self.name(event.value)
            return
        self.hide(event)
        self.decorated(event)
        if _NOT_TEXT.search(event.value):
            self.refuse(self.spot, "the text holds a character that is not text")
        self.put(self.plain(event.value) if event.style is None else event.value)

    def hide(self, event: events.ScalarEvent) -> None:
        """Keep a secret out of every line that is shown, however the file spells it."""
        if _BARE_REFERENCES.fullmatch(event.value):
            return  # the name of a variable is no secret, and helps
        if any(looks_secret(key) for key in self.path() if isinstance(key, str)):
            mark = event.end_mark
            end = self.spot if mark is None else Spot(mark.line + 1, mark.column + 1)
            self.document.text.hide(self.spot, end)

    def plain(self, text: str) -> Any:
        """The value of a scalar without quotes: as JSON reads it, or text."""
        if text in _WORDS:
            return _WORDS[text]
        if _FRACTION.fullmatch(text) is None:
            return text
        if len(text) > _NUMBER_CHARS_MAX:
            self.refuse(self.spot, "the number is too long")
            return None
        return int(text) if _WHOLE.fullmatch(text) else Decimal(text)

    def alias(self, _event: events.AliasEvent) -> None:
        self.refuse(self.spot, "aliases (*) are not supported", "write the value out")
        if self.awaits_key():
            self.stop("a key must be text")
        self.put(None)

    def decorated(self, event: events.NodeEvent) -> None:
        if event.anchor is not None:
            self.refuse(self.spot, "anchors (&) are not supported", "write the value out")
        if getattr(event, "tag", None) not in {None, "!"}:
            self.refuse(self.spot, "tags (!) are not supported", "write the value without it")

    def name(self, key: str) -> None:
        top = self.stack[-1]
        top.key, top.key_spot = key, self.spot
        if key in top.seen:
            first = top.seen[key].line
            self.refuse(
                self.spot, f'the key "{shown_key(key)}" stands twice', f"first in line {first}"
            )
        elif key == "<<":
            self.refuse(self.spot, "merge keys (<<) are not supported", "write the values out")
        elif "${" in key or _NOT_TEXT.search(key):
            self.refuse(self.spot, "a key must be plain text without references")

    def begin(self, event: events.CollectionStartEvent, items: dict[str, Any] | list[Any]) -> None:
        self.spot = Spot(self.spot.line, self.spot.column, 1)
        if self.awaits_key():
            self.stop("a key must be text")
        if len(self.stack) >= DEPTH_MAX:
            self.stop(f"nested deeper than {DEPTH_MAX} levels")
        self.decorated(event)
        path = self.path()
        self.record(path)
        self.stack.append(_Open(path, items))

    def end(self, _event: events.CollectionEndEvent) -> None:
        items = self.stack.pop().items
        self.put(tuple(items) if isinstance(items, list) else items)

    def record(self, path: KeyPath) -> None:
        key = self.stack[-1].key_spot if self.stack else None
        self.document.places.setdefault(path, Place(self.document.text, self.spot, key))

    def put(self, value: Any) -> None:
        """Store a finished value where it belongs."""
        path = self.path()
        if path not in self.document.places:
            self.record(path)
        if not self.stack:
            self.document.value, self.finished = value, True
            return
        top = self.stack[-1]
        if isinstance(top.items, list):
            top.items.append(value)
            return
        key = str(top.key)
        if key not in top.seen and top.key_spot is not None:
            top.seen[key] = top.key_spot
            top.items[key] = value
        top.key, top.key_spot = None, None
