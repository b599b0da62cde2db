"""Where words go: data to stdout, everything else to stderr, and nothing unsafe to either."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import typer
from rich.cells import cell_len

from stream_processor.errors import StreamProcessorError
from stream_processor.schema.display import printable

CELL_LIMIT = 200
LINE_LIMIT = 2000


def prepare_streams() -> None:
    """Make sure that a letter which the terminal does not know costs no more than itself."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def say(line: str) -> None:
    """One line of data, for whoever asked. Raises `StreamProcessorError` when the disk is full."""
    try:
        typer.echo(line)
    except BrokenPipeError:
        raise  # `app` ends without a word
    except OSError as error:
        raise StreamProcessorError(
            f"stdout cannot be written: {error.strerror}",
            hint="make room or write elsewhere, then ask again; what is written is not all of it",
        ) from error


def note(line: str) -> None:
    """One line beside the data: a warning, a hint, how it goes."""
    typer.echo(line, err=True)


def say_json(value: Any) -> None:
    """One JSON document, over several lines for a reader's eye."""
    say(json_text(value, indent=2))


def json_text(value: Any, *, indent: int | None = None) -> str:
    """JSON in ASCII: every letter that could act on a terminal is an escape that JSON undoes."""
    text = json.dumps(value, indent=indent, ensure_ascii=True, allow_nan=False)
    return text.replace("\x7f", "\\u007f")  # the one control character that ASCII JSON lets through


def cell(value: object) -> str:
    """Anything that may have come from Kafka or from a table, as plain visible text."""
    return printable(f"{value:,}" if isinstance(value, int) else str(value), CELL_LIMIT)


def sentence(text: str) -> str:
    """The same for a whole sentence, which is longer than a cell."""
    return printable(text, LINE_LIMIT)


def size(size_bytes: int) -> str:
    """So many bytes, in the unit in which they are few."""
    number, unit = float(size_bytes), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if number < 1024:
            break
        number, unit = number / 1024, larger
    return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"


def visible_lines(text: str) -> Iterator[str]:
    """A text of ours, line by line, with whatever it quotes made visible.

    A bracket stays as it is: markup is off everywhere, and `orders[0]` is how a partition is named.
    """
    for line in text.splitlines():
        yield "[".join(printable(part, LINE_LIMIT) for part in line.split("["))


def columns(rows: Iterable[Sequence[object]], *, right: Iterable[int] = ()) -> list[str]:
    """Rows of cells as aligned lines; `right` are the columns that end flush, as numbers do.

    Never cut to a width: what does not fit wraps on a terminal and is whole in a file.
    """
    table = [[cell(value) for value in row] for row in rows]
    if not table:
        return []
    widths = [max(cell_len(row[index]) for row in table) for index in range(len(table[0]))]
    flush = set(right)
    return ["   ".join(_aligned(row, widths, flush)).rstrip() for row in table]


def say_columns(rows: Iterable[Sequence[object]], *, right: Iterable[int] = ()) -> None:
    """Say what `columns` makes of the rows."""
    for line in columns(rows, right=right):
        say(line)


def _aligned(row: list[str], widths: list[int], flush: set[int]) -> Iterable[str]:
    for index, (text, width) in enumerate(zip(row, widths, strict=True)):
        space = " " * (width - cell_len(text))
        yield space + text if index in flush else text + space
