"""What is hidden wherever a value is shown: the entries of `preview_mask`, understood. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stream_processor.schema.paths import parse_path
from stream_processor.schema.pattern import mask_refusal

PATTERN_MARK = "re:"


@dataclass(frozen=True, slots=True)
class Masks:
    """Key paths, and RE2 patterns within any text."""

    paths: tuple[tuple[str, ...], ...] = ()
    patterns: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.paths) or bool(self.patterns)


def parse_masks(texts: Sequence[str]) -> tuple[Masks, list[tuple[int, str]]]:
    """What is to be hidden; and for each entry that says nothing usable its index and why.

    Called by the loader, which knows the places of the entries, and by `processor.plan`.
    """
    paths, patterns, wrong = [], [], []
    for index, text in enumerate(texts):
        pattern = text.removeprefix(PATTERN_MARK)
        if pattern != text:
            patterns.append(pattern)
            if (why := mask_refusal(pattern)) is not None:
                wrong.append((index, why))
            continue
        try:
            # Every element of a list is hidden, so indexes are left out.
            paths.append(tuple(step for step in parse_path(text) if isinstance(step, str)))
        except ValueError as error:
            wrong.append((index, str(error)))
    return Masks(tuple(paths), tuple(patterns)), wrong
