"""Reads from a table nothing but which event each row is, fast and in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from stream_processor.errors import StoreUnavailable, TableRefused
from stream_processor.operations.snapshots import Key, Snapshot
from stream_processor.operations.verify_offsets import Offsets
from stream_processor.schema import records
from stream_processor.sinks.delta_errors import mapped
from stream_processor.sinks.delta_files import files_of

# Measured: batches eight times larger are no faster, and cost 200 MiB.
_BATCH_ROWS = 1 << 17
_BATCHES_AHEAD = 2
_FILES_AHEAD = 1


@dataclass(frozen=True, slots=True)
class IdentityColumns:
    """Where a table keeps the identity of an event (records.md, 1)."""

    topic: str
    topic_id: str
    partition: str
    offset: str


DATA = IdentityColumns(
    records.KAFKA_TOPIC, records.KAFKA_TOPIC_ID, records.KAFKA_PARTITION, records.KAFKA_OFFSET
)
DEAD_LETTERS = IdentityColumns("topic", "topic_id", "partition", "offset")


@dataclass(frozen=True, slots=True)
class Found:
    """Offsets of one partition in file order, or, with `key` None, rows without an identity."""

    key: Key | None
    offsets: Offsets
    label: str | None = None


def rows_of(snapshot: Snapshot) -> int:
    """How many rows the table has, as its log says; files without a count are left out."""
    return files_of(snapshot.uri, snapshot.table).rows


def scan(
    snapshot: Snapshot,
    columns: IdentityColumns,
    label: str | None = None,
    where: pc.Expression | None = None,
) -> Iterator[Found]:
    """Every row's identity, grouped. `label` names a text column whose values split the groups.

    `where` leaves out rows, and whole files whose statistics say that they have none.

    Raises `TableRefused` when the table has no such columns, and `Unavailable`.
    """
    texts = [columns.topic, columns.topic_id, *([label] if label else [])]
    wanted = [*texts, columns.partition, columns.offset]
    with mapped(snapshot.uri, "reading"):
        missing = set(wanted) - {field.name for field in snapshot.table.schema().fields}
        if missing:
            raise TableRefused(
                f"{snapshot.uri} has no column {', '.join(sorted(missing))}",
                hint="it was not written by a pipeline; check the table's address",
            )
        # Dictionaries as they stand in the files: texts are never unfolded (5 times faster).
        dataset = snapshot.table.to_pyarrow_dataset(
            parquet_read_options=ds.ParquetReadOptions(dictionary_columns=set(texts))
        )
        batches = dataset.to_batches(
            columns=wanted,
            filter=where,
            batch_size=_BATCH_ROWS,
            batch_readahead=_BATCHES_AHEAD,
            fragment_readahead=_FILES_AHEAD,
        )
        for batch in _readable(batches, snapshot.uri):
            yield from _groups(batch, columns, label)


def _readable(batches: Iterator[pa.RecordBatch], uri: str) -> Iterator[pa.RecordBatch]:
    try:
        yield from batches
    except pa.ArrowInvalid as error:
        raise StoreUnavailable(
            f"a file of {uri} is not readable Parquet",
            hint="it was damaged in the store; restore the file from a backup",
        ) from error


def _groups(batch: pa.RecordBatch, columns: IdentityColumns, label: str | None) -> Iterator[Found]:
    identity = batch[columns.topic_id]
    if _holds_null(identity):
        topic = batch[columns.topic].cast(pa.string())
        identity = pc.coalesce(identity.cast(pa.string()), topic)
    keyed = [identity, batch[columns.partition], batch[columns.offset]]
    if any(_holds_null(column) for column in keyed):
        complete = pc.and_(pc.and_(keyed[0].is_valid(), keyed[1].is_valid()), keyed[2].is_valid())
        without = batch.num_rows - (complete.true_count or 0)
        yield Found(None, np.zeros(without, np.int64))
        keyed = [column.filter(complete) for column in keyed]
        batch = batch.filter(complete)
    if batch.num_rows == 0:
        return
    names, codes = _coded(keyed[0])
    labels, marks = _coded(batch[label]) if label else ([None], np.zeros(batch.num_rows, np.int64))
    numbers = keyed[1].cast(pa.int64()).to_numpy(zero_copy_only=False)
    offsets = keyed[2].to_numpy(zero_copy_only=False)
    low, width = int(numbers.min()), int(numbers.max() - numbers.min()) + 1
    combined = (codes * len(labels) + marks) * width + (numbers - low)
    for group, members in _split(combined, offsets):
        rest, number = divmod(group, width)
        code, mark = divmod(rest, len(labels))
        yield Found((names[code], number + low), members, labels[mark])


def _holds_null(column: pa.Array) -> bool:
    """A dictionary may hold null as one of its values, which `null_count` does not see."""
    if pa.types.is_dictionary(column.type) and column.dictionary.null_count:
        return True
    return bool(column.null_count)


def _coded(column: pa.Array) -> tuple[list[Any], np.ndarray[Any, np.dtype[np.int64]]]:
    """(the texts, for each row which one); a null is a text of its own, None."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    names = column.dictionary.to_pylist()
    codes = column.indices.cast(pa.int64()).fill_null(len(names))
    return [*names, None], codes.to_numpy(zero_copy_only=False)


def _split(
    groups: np.ndarray[Any, np.dtype[np.int64]], offsets: Offsets
) -> Iterator[tuple[int, Offsets]]:
    """The offsets of each group, in the order in which they stand."""
    if groups.min() == groups.max():
        yield int(groups[0]), offsets
        return
    if groups.max() < 1 << 16:
        groups = groups.astype(np.uint16)  # numpy sorts 16 bits by radix, many times faster
    order = np.argsort(groups, kind="stable")
    groups, offsets = groups[order], offsets[order]
    bounds = [0, *(np.flatnonzero(np.diff(groups)) + 1).tolist(), len(groups)]
    for begin, end in pairwise(bounds):
        yield int(groups[begin]), offsets[begin:end]
