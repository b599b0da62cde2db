"""What of a payload may be shown in a dead letter: shortened and masked."""

from __future__ import annotations

import re

import msgspec

MASK = "***"
ACTUAL_BYTES = 200
PREVIEW_BYTES = 2_048

Masks = tuple[tuple[str, ...], ...]

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_TOKEN = re.compile(
    rb'[ \t\n\r]*(?:([{}\[\],:])|("[^"\\]*(?:\\.[^"\\]*)*")|([-+.0-9A-Za-z]+))', re.DOTALL
)
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
    for mask in masks:
        shared = min(len(mask), len(keys))
        if mask[:shared] == keys[:shared]:  # the value itself, a part of it, or what it is part of
            return MASK
    return shorten(token, ACTUAL_BYTES).decode()


def preview(value: bytes, masks: Masks) -> str:
    """The beginning of a value as text."""
    head = shorten(value, PREVIEW_BYTES)
    if masks:
        head = _masked(head, masks)
    return head.decode("utf-8", "backslashreplace")


def _masked(head: bytes, masks: Masks) -> bytes:
    """Replace every value at a masked path. What cannot be read as JSON is hidden to the end."""
    out: list[bytes] = []
    keys: list[str | None] = []  # the key of each open object or array; None in an array
    pending: str | None = None  # the key whose value comes next
    hidden: int | None = None  # how deep we were when a hidden value began
    place = 0
    while place < len(head):
        found = _TOKEN.match(head, place)
        if found is None:
            return b"".join(out) + (b"" if not head[place:].strip() else MASK.encode())
        punctuation, text, _ = found.groups()
        end = found.end()
        is_key = text is not None and _is_key(head, end) and bool(keys)
        if hidden is None and not is_key and punctuation not in (b",", b":", b"}", b"]"):
            path = tuple(key for key in (*keys[1:], pending) if key is not None)
            if any(path == mask for mask in masks):
                hidden = len(keys)
                out.append(MASK.encode())
        if hidden is None:
            out.append(head[place:end])
        place = end
        if punctuation in (b"{", b"["):
            keys.append(pending)
            pending = None
        elif punctuation in (b"}", b"]"):
            pending = keys.pop() if keys else None
        elif is_key:
            pending = _key(text)
            continue
        if hidden is not None and len(keys) <= hidden and punctuation not in (b":", b"{", b"["):
            hidden = None
    return b"".join(out)


def _is_key(head: bytes, end: int) -> bool:
    return head[end:].lstrip(b" \t\n\r")[:1] == b":"


def _key(text: bytes) -> str:
    try:
        return _decode_key(text)
    except msgspec.DecodeError:
        return text.decode("utf-8", "replace")
