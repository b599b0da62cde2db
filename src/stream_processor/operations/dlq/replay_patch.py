"""A JSON merge patch (RFC 7386) on the exact text of a value: what it does not name stays verbatim.

Members are taken apart by name only; numbers, strings and whatever else is in them are never
re-printed. A name that stands twice counts as its last, as everywhere (records.md, 2). Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from stream_processor.errors import ConfigurationError

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode
_NULL = b"null"
_BLANK = b" \t\n\r"
_DEPTH_MAX = 64


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A merge patch, ready to apply. Made by `parse_patch`; `digest` is the SHA-256 of its text."""

    digest: str
    changes: Mapping[str, object]

    def apply(self, value: bytes | None) -> bytes | None:
        """The changed value; None for what is no JSON object in UTF-8, which cannot be patched."""
        if value is None or not _is_object(value):
            return None
        try:
            value.decode()
            return _encode(_merged(_members(value), self.changes))
        except (UnicodeDecodeError, msgspec.DecodeError, RecursionError):
            return None


def parse_patch(text: bytes, name: str) -> Patch:
    """Called with the content of the file `name`. Raises `ConfigurationError`."""
    try:
        text.decode()
        if not _is_object(text):
            raise ConfigurationError(
                f"{name} is no JSON object",
                hint='a merge patch names what changes, like {"amount": "12.50"}; '
                "null removes a member",
            )
        changes = _changes(text, _DEPTH_MAX)
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError) as error:
        raise ConfigurationError(
            f"{name} is no valid JSON", hint="correct the file; `try` tells where JSON breaks"
        ) from error
    if not changes:
        raise ConfigurationError(f"{name} changes nothing", hint="name at least one member")
    return Patch(hashlib.sha256(text).hexdigest(), changes)


def _is_object(text: bytes) -> bool:
    return text.lstrip(_BLANK)[:1] == b"{"


def _changes(text: bytes | msgspec.Raw, depth: int) -> Mapping[str, object]:
    """Objects taken apart all the way down; any other value as its exact text, null as None."""
    if not depth:
        raise RecursionError
    found: dict[str, object] = {}
    for name, token in _members(text).items():
        plain = bytes(token)
        if _is_object(plain):
            found[name] = _changes(plain, depth - 1)
        else:
            # What is kept verbatim must be JSON by itself: the scanner has seen only its extent.
            msgspec.json.decode(plain)
            found[name] = None if plain.strip(_BLANK) == _NULL else msgspec.Raw(plain)
    return found


def _merged(target: dict[str, msgspec.Raw], changes: Mapping[str, object]) -> dict[str, object]:
    """RFC 7386, section 2: null removes, an object goes on inside, all else replaces."""
    merged: dict[str, object] = dict(target)
    for name, change in changes.items():
        if change is None:
            merged.pop(name, None)
        elif isinstance(change, Mapping):
            merged[name] = _merged(_inside(target.get(name)), change)
        else:
            merged[name] = change
    return merged


def _inside(token: msgspec.Raw | None) -> dict[str, msgspec.Raw]:
    """The members of what stands there; what is no object counts as an empty one."""
    if token is None:
        return {}
    plain = bytes(token)
    return _members(plain) if _is_object(plain) else {}
