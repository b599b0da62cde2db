"""What a table's own rules say of a row: a value that crosses from the sinks to the kernel."""

from __future__ import annotations

from typing import NamedTuple


class Broken(NamedTuple):
    """The first rule of the table that a row breaks.

    `column` is the one that must not be null; None for a CHECK, whose `name` and `rule` (its
    expression) say what it wants.
    """

    column: str | None
    name: str
    rule: str
