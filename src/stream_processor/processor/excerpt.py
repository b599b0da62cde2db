"""What of a payload may be shown in a dead letter: shortened and masked."""

from __future__ import annotations

import re
from contextlib import suppress

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from stream_processor.schema.masks import Masks

MASK = "***"
ACTUAL_BYTES = 200
PREVIEW_BYTES = 2_048

_BEHIND_THE_CUT = 256  # so far a text is searched behind its cut, lest half a number stays

_VALID_JSON = ("validate", "transform")  # the stages behind the parser

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_TOKEN = re.compile(
    rb'[ \t\n\r]*(?:([{}\[\],:])|("[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z))|([-+.0-9A-Za-z]+))',
    re.DOTALL,
)
_COLON = re.compile(rb"[ \t\n\r]*:")
_decode_key = msgspec.json.Decoder(str).decode


def visible(data: bytes) -> str:
    """Bytes as text that cannot steer a terminal: controls and invalid bytes are escaped."""
    text = data.decode("utf-8", "backslashreplace")
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def shorten(text: bytes, limit: int) -> bytes:
    """The first bytes, cut between characters."""
    if len(text) <= limit:
        return text
    while limit and 0x80 <= text[limit] < 0xC0:
        limit -= 1
    return text[:limit]


def actual(token: bytes, keys: tuple[str, ...], masks: Masks) -> str:
    """The value of a field as a dead letter shows it; `keys` is its path without indexes."""
    return MASK if hidden(keys, masks) else shown(token, masks)


def shown(token: bytes, masks: Masks) -> str:
    """The beginning of a value whose path nobody hides."""
    if not masks.patterns:
        return shortened(token)
    near = shorten(token, ACTUAL_BYTES + _BEHIND_THE_CUT)
    return shortened(_covered(near, masks.patterns))


def shortened(token: bytes) -> str:
    """The beginning of a value that nobody hides."""
    return (token if len(token) <= ACTUAL_BYTES else shorten(token, ACTUAL_BYTES)).decode()


def hidden(keys: tuple[str, ...], masks: Masks) -> bool:
    """Whether a mask names the value itself, a part of it, or what it is part of."""
    shared = ((mask, min(len(mask), len(keys))) for mask in masks.paths)
    return any(mask[:length] == keys[:length] for mask, length in shared)


def preview(value: bytes, masks: Masks, stage: str) -> str:
    """The beginning of a value as text. In broken text nobody can tell what to hide, so all is."""
    if masks.patterns:
        near = masked(shorten(value, PREVIEW_BYTES + _BEHIND_THE_CUT), masks, stage)
        head = shorten(near, PREVIEW_BYTES)
    else:
        head = masked(shorten(value, PREVIEW_BYTES), masks, stage)
    return head.decode("utf-8", "backslashreplace")


def masked(value: bytes, masks: Masks, stage: str) -> bytes:
    """The bytes of a value that may be shown; also called by `dlq show`, for the whole value."""
    if masks.paths:
        if stage not in _VALID_JSON:
            return MASK.encode()
        value = _masked(value, masks)
    return _covered(value, masks.patterns)


def _covered(text: bytes, patterns: tuple[str, ...]) -> bytes:
    """Every part that a pattern finds is hidden; what is no UTF-8 is searched byte by byte."""
    if not patterns:
        return text
    found: pa.Array = pa.array([text], pa.binary())
    with suppress(pa.ArrowInvalid):
        found = found.cast(pa.string())
    for pattern in patterns:
        found = pc.replace_substring_regex(found, pattern, MASK)
    return bytes(found.cast(pa.binary())[0].as_py())


def _masked(head: bytes, masks: Masks) -> bytes:
    """Replace every value at a masked path of valid JSON that may be cut short."""
    masking = _Masking(masks)
    place = 0
    while place < len(head):
        found = _TOKEN.match(head, place)
        if found is None:
            masking.out.append(MASK.encode() if head[place:].strip() else head[place:])
            break
        punctuation, text, _ = found.groups()
        is_key = text is not None and _COLON.match(head, found.end()) is not None
        masking.take(head[place : found.end()], punctuation, _key(text) if is_key else None)
        place = found.end()
    return b"".join(masking.out)


class _Masking:
    """Where we are in a text that is read token by token, and what of it may be shown."""

    def __init__(self, masks: Masks) -> None:
        self.out: list[bytes] = []
        self._masks = masks.paths
        self._open: list[str | None] = []  # under which key each open object or array stands
        self._key: str | None = None  # the key of the value that comes next; None in an array
        self._hidden_depth: int | None = None  # where the value began that is being hidden

    def take(self, piece: bytes, punctuation: bytes | None, key: str | None) -> None:
        """Show or hide one token; `key` is its text where it is the key of a member."""
        begins_value = key is None and punctuation in (None, b"{", b"[")
        if self._hidden_depth is None and begins_value and self._path() in self._masks:
            self._hidden_depth = len(self._open)
            self.out.append(MASK.encode())
        if self._hidden_depth is None:
            self.out.append(piece)
        if key is not None:
            self._key = key
            return
        self._move(punctuation)
        ends_value = punctuation in (None, b"}", b"]")
        hidden = self._hidden_depth
        if ends_value and hidden is not None and len(self._open) <= hidden:
            self._hidden_depth = None

    def _path(self) -> tuple[str, ...]:
        return tuple(key for key in (*self._open[1:], self._key) if key is not None)

    def _move(self, punctuation: bytes | None) -> None:
        if punctuation in (b"{", b"["):
            self._open.append(self._key)
            self._key = None
        elif punctuation in (b"}", b"]"):
            self._key = self._open.pop() if self._open else None


def _key(text: bytes) -> str:
    try:
        return _decode_key(text)
    except msgspec.DecodeError:
        return text.decode("utf-8", "replace")
