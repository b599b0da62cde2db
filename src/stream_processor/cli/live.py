"""The one live line of `run` on a terminal, with log lines scrolling above it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import TextIOBase

from rich.console import Console
from rich.live import Live
from rich.text import Text

from stream_processor.cli.output import cell
from stream_processor.runtime.snapshot import Snapshot

_REFRESH_PER_SECOND = 4
_CODES_SHOWN = 4


def line_of(now: Snapshot, at: float) -> str:
    """State, rate, lag, last commit, dead letters, floods; `at` is the time of day (epoch)."""
    parts = [now.state, f"{now.records_per_second:,.0f} records/s"]
    if now.lag is not None:
        behind = "" if now.lag_seconds is None else f" ({now.lag_seconds:,.1f} s)"
        parts.append(f"lag {now.lag:,}{behind}")
    if now.last_commit_at is not None:
        parts.append(f"last commit {max(0.0, at - now.last_commit_at):.0f} s ago")
    parts.append(f"rows {now.rows:,}")
    parts.append(dead_letters_of(now))
    if now.flooded:
        parts.append(f"FLOOD of dead letters: {', '.join(sorted(now.flooded))}")
    if now.reason:
        parts.append(now.reason)
    return cell(parts[0]) + "   " + " · ".join(map(cell, parts[1:]))


def dead_letters_of(now: Snapshot) -> str:
    """`dead letters 12: field.type 10, json.syntax 2`, the most frequent first."""
    if not now.dead:
        return "dead letters 0"
    most = sorted(now.dead_by_code.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{code} {count:,}" for (_, code), count in most[:_CODES_SHOWN])
    more = ", ..." if len(most) > _CODES_SHOWN else ""
    return f"dead letters {now.dead:,}: {shown}{more}"


class Above(TextIOBase):
    """Where the log writes while the line is shown: above it, on the same terminal."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def isatty(self) -> bool:
        """Make the log write columns, as for any terminal."""
        return True

    def writable(self) -> bool:
        """Promise that `write` works."""
        return True

    def write(self, text: str) -> int:
        """Print whole lines; their colours are the log's own, everything else is escaped there."""
        if line := text.rstrip("\n"):
            self._console.print(Text.from_ansi(line), soft_wrap=True)
        return len(text)


def terminal() -> Console:
    """The terminal as `run` uses it: no markup, no emoji, no guessing of what looks like code."""
    return Console(
        file=sys.stderr,
        markup=False,
        highlight=False,
        emoji=False,
        no_color=bool(os.environ.get("NO_COLOR")),
    )


@contextmanager
def live_line(console: Console, snapshot: Callable[[], Snapshot]) -> Iterator[None]:
    """Show the line inside the block; at its end it is gone."""

    def text() -> Text:
        now = datetime.now(UTC).timestamp()
        return Text(line_of(snapshot(), now), no_wrap=True, overflow="ellipsis")

    with Live(
        get_renderable=text,
        console=console,
        refresh_per_second=_REFRESH_PER_SECOND,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ):
        yield
