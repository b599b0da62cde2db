"""JSON by RFC 8259, letter by letter: the part of the oracle that reads texts."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

NUMBER = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class BadError(Exception):
    """The code of the rule that is broken."""


class Node(NamedTuple):
    """One JSON value: its kind, its exact text, and its members, items or string."""

    kind: str
    text: str
    inside: Any


class Reader:
    """RFC 8259, letter by letter."""

    def __init__(self, text: str, max_depth: int) -> None:
        self.text, self.at, self.max_depth = text, 0, max_depth

    def whole(self) -> Node:
        self.blank()
        node = self.value(0)
        self.blank()
        self.must(self.at == len(self.text))
        return node

    def must(self, holds: bool) -> None:  # noqa: FBT001  # the thing that must hold
        if not holds:
            raise BadError("json.syntax")

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def blank(self) -> None:
        while self.peek() and self.peek() in " \t\n\r":
            self.at += 1

    def take(self, letter: str) -> bool:
        found = self.peek() == letter
        self.at += found
        return found

    def value(self, depth: int) -> Node:
        begin, first = self.at, self.peek()
        inside: Any = None
        if first and first in "{[":
            if depth == self.max_depth:
                raise BadError("json.too_deep")
            self.at += 1
            inside = self.members(depth + 1) if first == "{" else self.items(depth + 1)
            kind = "object" if first == "{" else "array"
        elif first == '"':
            kind, inside = "string", self.string()
        else:
            found = re.compile(NUMBER + "|true|false|null", re.ASCII).match(self.text, self.at)
            self.must(found is not None)
            self.at = found.end() if found else 0
            kind = "number" if first in "-0123456789" else self.text[begin : self.at]
        return Node(kind, self.text[begin : self.at], inside)

    def members(self, depth: int) -> dict[str, Node]:
        found: dict[str, Node] = {}
        self.blank()
        if self.take("}"):
            return found
        while True:
            self.blank()
            self.must(self.peek() == '"')
            key = self.string()
            self.blank()
            self.must(self.take(":"))
            self.blank()
            found[key] = self.value(depth)
            self.blank()
            if self.take("}"):
                return found
            self.must(self.take(","))

    def items(self, depth: int) -> list[Node]:
        found: list[Node] = []
        self.blank()
        if self.take("]"):
            return found
        while True:
            self.blank()
            found.append(self.value(depth))
            self.blank()
            if self.take("]"):
                return found
            self.must(self.take(","))

    def string(self) -> str:
        letters = []
        self.at += 1
        while not self.take('"'):
            letter = self.peek()
            self.must(letter >= " ")
            self.at += 1
            letters.append(self.escape() if letter == "\\" else letter)
        return "".join(letters)

    def escape(self) -> str:
        letter = self.peek()
        self.at += 1
        if letter != "u":
            self.must(letter in _ESCAPES)
            return _ESCAPES[letter]
        high = self.hexadecimal()
        if not 0xD800 <= high < 0xE000:
            return chr(high)
        self.must(high < 0xDC00 and self.take("\\") and self.take("u"))
        low = self.hexadecimal()
        self.must(0xDC00 <= low < 0xE000)
        return chr(0x10000 + (high - 0xD800) * 0x400 + low - 0xDC00)

    def hexadecimal(self) -> int:
        digits = self.text[self.at : self.at + 4]
        self.must(re.fullmatch("[0-9a-fA-F]{4}", digits) is not None)
        self.at += 4
        return int(digits, 16)
