"""Looks for what is left of an event's bytes in every object of a pipeline, the log included.

Parquet is compressed, so a search of the objects alone would find nothing and prove nothing: every
text column of every file is unpacked and searched too, and every object as it is. The Delta log
keeps the smallest and largest value of columns in its old entries, so it may quote an event.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stream_processor.operations.dlq.identity import DATA, LETTERS, Identity

PART_BYTES_MIN = 8
"""Shorter parts of an event (EUR, a flag, a small number) stand in others too and prove nothing."""
_PARTS_MAX = 64
_STATISTIC_BYTES = 32  # the log keeps at least so much of the beginning of a long text
_BATCH_ROWS = 1 << 12
_WORD = re.compile(rb"[\w@.+-]{%d,}" % PART_BYTES_MIN)
_LOG = "_delta_log/"


@dataclass(frozen=True, slots=True)
class Needles:
    """What to look for: the exact value, and parts of the event that are long enough."""

    value: bytes | None
    parts: frozenset[bytes]

    def __bool__(self) -> bool:
        return bool(self.value) or bool(self.parts)

    def all(self) -> list[bytes]:
        """Each once."""
        return sorted({*self.parts, *([self.value] if self.value else [])})


def needles_of(rows: Iterable[Mapping[str, Any]]) -> Needles:
    """What is distinctive about an event, from its dead letters and rows wherever they were."""
    value: bytes | None = None
    parts: set[bytes] = set()
    for row in rows:
        exact = row.get("value")
        value = exact if isinstance(exact, bytes) else value
        for name, item in row.items():
            if name not in _OURS:
                parts |= set(_leaves(item))
    parts.discard(value or b"")
    longest = sorted(parts, key=lambda part: (-len(part), part))[:_PARTS_MAX]
    return Needles(value, frozenset(longest))


_OURS = frozenset(
    {
        "dlq_id", "failed_at", "failed_date", "pipeline", "schema_version", "schema_hash",
        "app_version", "engine", "stage", "code", "field_path", "expected", "problems", "message",
        "fingerprint", "fingerprint_version", "topic", "topic_id", "value_sha256", "actions",
        "_kafka_topic", "_kafka_topic_id", "value_preview", "actual",
    }
)  # fmt: skip
"""Columns that are ours, or are made of the value that is searched for as a whole."""


def _leaves(item: object) -> Iterator[bytes]:
    """The texts in a value that are long enough; those of JSON by member."""
    if isinstance(item, bytes | str):
        yield from _leaves_of_text(item)
    elif isinstance(item, Mapping):
        for each in item.values():
            yield from _leaves(each)
    elif isinstance(item, list | tuple):
        for each in item:
            yield from _leaves(each)


def _leaves_of_text(item: bytes | str) -> Iterator[bytes]:
    data = item.encode() if isinstance(item, str) else item
    try:
        parsed = json.loads(data, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        parsed = None
    if isinstance(parsed, dict | list):
        yield from _leaves(parsed)
    elif isinstance(item, bytes):
        yield from _WORD.findall(data)
    elif len(data) >= PART_BYTES_MIN:
        yield data


@dataclass(frozen=True, slots=True)
class Hit:
    """What one object still holds: the event itself by its place, its exact value, or parts."""

    key: str
    event: bool
    needles: frozenset[bytes]

    @property
    def in_log(self) -> bool:
        """Whether it is an entry of a Delta log: what it holds are statistics."""
        return self.key.startswith(_LOG)


def look(key: str, data: bytes, needles: Needles, identity: Identity) -> Hit:
    """Search one object, as it is and unpacked."""
    wanted = {form: needle for needle in needles.all() for form in _forms(needle, key)}
    name = unquote(key).encode()  # a partition's folder is named by a value
    found = {needle for form, needle in wanted.items() if form in data or form in name}
    event = False
    if key.endswith(".parquet"):
        file = pq.ParquetFile(io.BytesIO(data))
        event = _has_event(file, identity)
        for text in _texts(file):
            found |= {needle for form, needle in wanted.items() if form in text}
    return Hit(key, event, frozenset(found))


def _forms(needle: bytes, key: str) -> set[bytes]:
    """How it may be written: as it is; in the log also as JSON, as JSON in JSON, and cut."""
    forms = {needle}
    if key.startswith(_LOG):
        text = needle.decode("utf-8", "replace")
        for _ in range(2):
            text = json.dumps(text, ensure_ascii=False)[1:-1]
            forms |= {text.encode(), json.dumps(text)[1:-1].encode()}
        forms |= {form[:_STATISTIC_BYTES] for form in forms}
    return forms


def event_in(data: bytes, identity: Identity) -> list[dict[str, Any]]:
    """The rows of a Parquet file that are this event; none where it keeps no coordinates."""
    file = pq.ParquetFile(io.BytesIO(data))
    return [] if not _has_event(file, identity) else list(_rows(file, identity))


def _rows(file: pq.ParquetFile, identity: Identity) -> Iterator[dict[str, Any]]:
    prefix = _prefix(file)
    for batch in file.iter_batches(_BATCH_ROWS):
        table = pa.Table.from_batches([batch])
        if prefix is not None:
            yield from table.filter(identity.rows(table, prefix)).to_pylist()


def _has_event(file: pq.ParquetFile, identity: Identity) -> bool:
    prefix = _prefix(file)
    if prefix is None:
        return False
    batches = file.iter_batches(_BATCH_ROWS * 16, columns=list(identity.columns(prefix)))
    return any(
        pc.any(identity.rows(pa.Table.from_batches([batch]), prefix)).as_py() for batch in batches
    )


def _prefix(file: pq.ParquetFile) -> str | None:
    """How this file calls the coordinates; None where it has none, or is the ledger's."""
    names = set(file.schema_arrow.names)
    if "action" in names:
        return None
    for prefix in (DATA, LETTERS):
        if {f"{prefix}{name}" for name in ("topic", "topic_id", "partition", "offset")} <= names:
            return prefix
    return None


def _texts(file: pq.ParquetFile) -> Iterator[bytes]:
    """All text and binary values of all columns, however deep, batch by batch."""
    for batch in file.iter_batches(_BATCH_ROWS):
        for column in batch.columns:
            yield from _buffers(column)


def _buffers(array: pa.Array) -> Iterator[bytes]:
    kind = array.type
    if pa.types.is_struct(kind):
        for index in range(kind.num_fields):
            yield from _buffers(array.field(index))
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _buffers(array.values)
    elif pa.types.is_map(kind):
        yield from _buffers(array.keys)
        yield from _buffers(array.items)
    elif pa.types.is_dictionary(kind):
        yield from _buffers(array.dictionary)
    elif _is_text(kind):
        data = array.cast(pa.large_binary()).buffers()[2]
        if data is not None:
            yield data.to_pybytes()


def _is_text(kind: pa.DataType) -> bool:
    checks = (
        pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view,
        pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view,
    )  # fmt: skip
    return any(check(kind) for check in checks)
