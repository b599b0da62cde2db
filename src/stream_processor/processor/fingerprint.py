"""One fingerprint per cause: the sentence of a dead letter without what varies (records.md, 6)."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

VERSION = 1
"""A change of what is hashed gets a new version; old rows keep theirs and are never regrouped."""

_PLACEHOLDERS = (
    (re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`'), "<quoted>"),
    (
        re.compile(r"\b[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}\b", re.ASCII),
        "<uuid>",
    ),
    (re.compile(r"\b[a-z][a-z0-9+.-]{0,20}://[^\s,;]+", re.IGNORECASE), "<url>"),
    (re.compile(r"[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64})+"), "<email>"),
    (re.compile(r"\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b", re.ASCII), "<ip>"),
    (re.compile(r"\b(?:[0-9A-Fa-f]{1,4}:){3,7}[0-9A-Fa-f]{1,4}\b", re.ASCII), "<ip>"),
    (re.compile(r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt ][0-9:.]+(?:[Zz]|[+-][0-9:]+)?)?"), "<date>"),
    (re.compile(r"\b(?=[0-9A-Fa-f]*[0-9])[0-9A-Fa-f]{16,}\b", re.ASCII), "<hash>"),
    (re.compile(r"(?<![\w.])[-+]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?!\w)"), "<number>"),
)


def normalised(message: str) -> str:
    """The message with every uuid, e-mail, url, ip, hash, date, number and quoted text replaced."""
    for pattern, placeholder in _PLACEHOLDERS:
        message = pattern.sub(placeholder, message)
    return message


@lru_cache(maxsize=4096)
def fingerprint(
    stage: str, code: str, field_path: str | None, expected: str | None, message: str
) -> str:
    """The same text for the same cause; 32 hexadecimal digits."""
    parts = (str(VERSION), stage, code, field_path or "", expected or "", normalised(message))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
