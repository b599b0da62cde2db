"""`dlq export`: dead letters as lines of JSON that other tools, and `try`, can take as they are."""

from __future__ import annotations

import base64
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from stream_processor.errors import ConfigurationError
from stream_processor.operations.dlq.letters import DeadLetters
from stream_processor.operations.dlq.selection import Selector
from stream_processor.operations.try_payloads import plain

_CAUSE = ("dlq_id", "failed_at", "stage", "code", "field_path", "message")
_PLACE = ("topic", "topic_id", "partition", "offset", "kafka_timestamp", "timestamp_type")
COLUMNS = (*_CAUSE, *_PLACE, "key", "value", "headers", "value_truncated", "value_size")
"""What is read of a dead letter."""
_TIMES = ("failed_at", "kafka_timestamp")
_SHOWN = (*_CAUSE, "status", *_PLACE, "value_truncated", "value_size")


def chosen(letters: DeadLetters, selector: Selector, limit: int | None) -> Iterator[pa.RecordBatch]:
    """The chosen dead letters, `limit` of them at most, in batches of bounded size."""
    left = limit
    for batch in letters.read(selector, COLUMNS):
        part = batch if left is None else batch.slice(0, left)
        yield part
        if left is not None:
            left -= part.num_rows
            if not left:
                return


def lines(batches: Iterable[pa.RecordBatch]) -> Iterator[str]:
    """One line of JSON for each dead letter: an envelope of `try`, with cause and coordinates.

    In ASCII, so that no letter of a stranger acts on a terminal. A value that was cut has
    `value_truncated` true; it is not the event any more.
    """
    for batch in batches:
        for row in batch.to_pylist():
            yield json.dumps(_envelope(row), ensure_ascii=True).replace("\x7f", "\\u007f")


def _envelope(row: dict[str, Any]) -> dict[str, Any]:
    made = {name: row[name] for name in _SHOWN}  # text and numbers as they are: the rest is slow
    for name in _TIMES:
        made[name] = plain(row[name])
    made["value_base64"] = encoded(row["value"])
    made["key_base64"] = encoded(row["key"])
    made["headers"] = row["headers"] and [
        {"name": each["name"], "value_base64": encoded(each["value"])} for each in row["headers"]
    ]
    return made


def encoded(value: bytes | None) -> str | None:
    """Bytes as base64, nothing as nothing."""
    return None if value is None else base64.b64encode(value).decode("ascii")


def refuse_existing(path: Path) -> None:
    """Raise `ConfigurationError` where there is a file already, before any work is done."""
    if path.exists():
        raise ConfigurationError(
            f"the file {path} exists already", hint="name another one, or add --force"
        )


def save(path: Path, text: Iterable[str]) -> None:
    """Write lines to a new file, which appears whole or not at all.

    Only its owner may read it, as it holds what events hold. Raises `ConfigurationError` when it
    cannot be written, or is there by now.
    """
    _save(path, text, os.link)


def save_over(path: Path, text: Iterable[str]) -> None:
    """The same, in place of whatever is there."""
    _save(path, text, os.replace)


def _save(path: Path, text: Iterable[str], put: Callable[[str, Path], None]) -> None:
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            try:
                file.writelines(f"{line}\n" for line in text)
                file.close()
                put(file.name, path)
            finally:
                Path(file.name).unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"the file {path} cannot be written: {error.strerror}",
            hint="check its folder, its rights and the room on the disk",
        ) from error
