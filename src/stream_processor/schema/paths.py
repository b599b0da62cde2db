"""Paths to a value inside an event: `created.at`, `tags[0]`, `a.b[1][0].c` (records.md, 7)."""

from __future__ import annotations

import re

Path = tuple[str | int, ...]
"""Keys and indexes from the top of the event; the first is always a key."""

_SEGMENT = re.compile(r"([^.\[\]]+)((?:\[(?:0|[1-9][0-9]{0,5})\])*)")
_STEPS_MAX = 16  # each step reads the rest of the value once more, and work per record is bounded


def parse_path(text: str) -> Path:
    """Read a `from` path. Raises ValueError with a sentence for the author of the schema."""
    steps: list[str | int] = []
    for part in text.split("."):
        match = _SEGMENT.fullmatch(part)
        if match is None:
            raise ValueError(
                "expected keys joined by dots, each with optional [n], like tags[0].id"
            )
        steps.append(match[1])
        steps.extend(int(index) for index in re.findall(r"[0-9]+", match[2]))
    if steps[0] == "$":
        raise ValueError("write the path without the leading $.")
    if len(steps) > _STEPS_MAX:
        raise ValueError(f"at most {_STEPS_MAX} steps")
    return tuple(steps)
