"""How long preparation takes is shown on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

LINE_EVERY_SECONDS = 10.0


class Advance(Protocol):
    """So many more units are done; may be called from any thread."""

    def __call__(self, units: int = 1) -> None:
        """Move the bar."""


@contextmanager
def shown(title: str, units_total: int) -> Iterator[Advance]:
    """Show `title` and how many of `units_total` are done, until the block ends."""
    started = time.monotonic()
    if sys.stderr.isatty():
        with _bar(title, units_total) as advance:
            yield advance
    else:
        sys.stderr.write(f"{title} ...\n")
        sys.stderr.flush()
        yield _lines(title, units_total)
    seconds = time.monotonic() - started
    sys.stderr.write(f"{title}: done in {seconds:.0f} s\n")
    sys.stderr.flush()


@contextmanager
def _bar(title: str, units_total: int) -> Iterator[Advance]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task(title, total=units_total)

        def advance(units: int = 1) -> None:
            progress.advance(task, units)

        yield advance


def _lines(title: str, units_total: int) -> Advance:
    done = 0
    next_line_at = time.monotonic() + LINE_EVERY_SECONDS

    def advance(units: int = 1) -> None:
        nonlocal done, next_line_at
        done += units
        if time.monotonic() >= next_line_at:
            next_line_at = time.monotonic() + LINE_EVERY_SECONDS
            sys.stderr.write(f"{title}: {done:,} of about {units_total:,}\n")
            sys.stderr.flush()

    return advance
