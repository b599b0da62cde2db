"""What a rule is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from stream_processor.config.model import Model

OWN_KEY = "set {} instead, so that there is one place for it"
"""The hint for a raw client setting that has a key of its own."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a rule objects to: the keys from its section down, and words for a person."""

    path: tuple[str | int, ...]
    message: str
    hint: str = ""
    severity: Literal["error", "warning"] = "error"


@dataclass(frozen=True, slots=True)
class Rule:
    """A pure check of one section that needs these of its keys to be readable."""

    section: tuple[str, ...]
    model: type[Model]
    reads: tuple[str, ...]
    check: Callable[[Any], Iterable[Finding]]
