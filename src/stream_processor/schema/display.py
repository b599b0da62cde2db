r"""The one way in which bytes from Kafka reach a terminal or a log.

Values, keys, headers, topic names, and whatever a foreign library quotes of them, are written by
strangers: they may hold terminal commands (ESC, OSC 52), markup, bidirectional tricks or invisible
letters. `printable` turns them into plain visible characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

ELLIPSIS = "…"

_SURROGATE = r"\u{char:04x}"
_INVALID_BYTE = r"\x{byte:02x}"
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}

_INVISIBLE = frozenset(
    [
        0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2800, 0x3164,
        0xFFA0,
        *range(0xFE00, 0xFE10),
        *range(0xE0100, 0xE01F0),
    ]
)  # fmt: skip  # one code point per line would be forty lines
"""Letters and marks that `str.isprintable` lets through though nothing is seen of them: fillers,
joiners, variation selectors (Unicode's Default_Ignorable_Code_Point) and the blank Braille cell."""

_MARKUP_START = re.compile(r"[a-z#/@]")
"""What follows `[` where rich sees a tag (rich.markup); anything else is an ordinary bracket."""


def printable(text: str | bytes, limit: int) -> str:
    r"""Return the text with everything unsafe or invisible escaped, at most `limit` characters.

    Called by every verb and every log line for anything that came from Kafka. Bytes are read as
    UTF-8. Escaped are control characters (C0, DEL, C1), format characters (bidi controls, zero
    width, tags), separators other than the space, private and unassigned code points, invisible
    letters, lone surrogates (`\uNNNN`) and invalid UTF-8 (`\xNN`); line breaks and tabs are `\n`,
    `\r`, `\t`. A `[` that rich could take for a tag is `\x5b`, so the result is also harmless where
    markup is on (print it with `markup=False` or as `rich.text.Text` all the same).

    Safe text is returned unchanged, and a result never changes when it is passed again: a
    backslash is left alone, so JSON stays readable, and an escape cannot be told from the same
    letters in the event. The exact bytes are in the dead letter. Longer text ends in one `…`, and
    is never cut inside an escape. Never raises.
    """
    if limit < 1:
        return ""
    if isinstance(text, bytes):
        text = text[: 4 * limit + 4].decode("utf-8", "surrogateescape")
        surrogate = _INVALID_BYTE  # UTF-8 has no surrogates, so here it can only be an invalid byte
    else:
        surrogate = _SURROGATE
    return _fit(_pieces(text[: limit + 2], surrogate), limit)


def _pieces(text: str, surrogate: str) -> Iterator[str]:
    for index, char in enumerate(text):
        after = text[index + 1 : index + 2]
        if char == "[" and (not after or _MARKUP_START.match(after)):
            yield "\\x5b"  # at the end too: the caller's next word could complete a tag
        elif char.isprintable() and ord(char) not in _INVISIBLE:
            yield char
        else:
            yield _escape(char, surrogate)


def _escape(char: str, surrogate: str) -> str:
    code = ord(char)
    if char in _SHORT:
        return _SHORT[char]
    if 0xD800 <= code <= 0xDFFF:
        return surrogate.format(char=code, byte=code & 0xFF)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _fit(pieces: Iterator[str], limit: int) -> str:
    kept: list[str] = []
    size = 0
    for piece in pieces:
        kept.append(piece)
        size += len(piece)
        if size > limit:
            break
    else:
        return "".join(kept)
    while size > limit - len(ELLIPSIS):
        size -= len(kept.pop())
    return "".join(kept) + ELLIPSIS
