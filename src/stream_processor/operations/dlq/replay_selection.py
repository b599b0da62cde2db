"""The dead letters that one replay takes on: selected, below the data table's offset, not yet rows.

Two passes. The first reads identities only and settles the fate of each: what waits for its batch
is left alone (commit protocol, a.12), and what is a row of the data table already is never written
again, whatever the ledger says. Only a job at the desk writes rows below the table's offsets, so on
the snapshot that the desk holds this stays true for as long as the job has the desk. The second
pass reads the events, in batches bounded in rows and bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stream_processor.operations.dlq.letters import DeadLetters
from stream_processor.operations.dlq.nearest import nothing_matched
from stream_processor.operations.dlq.replay_places import IDENTITY, Fate, places_of
from stream_processor.operations.dlq.replay_request import ReplayRequest
from stream_processor.operations.snapshots import Snapshot, Tables, open_ledger
from stream_processor.operations.verify_scan import DATA, scan
from stream_processor.schema.text_column import text_column
from stream_processor.sinks.delta_errors import mapped
from stream_processor.sources.replay import COLUMNS

TOPIC_TARGET = "topic:"
"""What the `target` of a ledger row begins with when a record went back to a topic."""

_GONE = ("purged", "erased")
_READ = (*COLUMNS, "dlq_id", "stage", "code", "field_path", "value_truncated")
_ROW_BYTES = 256  # what a dead letter costs besides its key and value
_PAYLOADS_AT_ONCE = 4_096


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of the dead letters is in memory at a time."""

    rows_max: int
    bytes_max: int


@dataclass(slots=True)
class _Count:
    """What the first pass saw."""

    matched: int = 0
    left: int = 0
    unsaid: int = 0  # without a row `replayed` in the ledger


class Selection:
    """What one replay takes on. Made by `select`; `batches` may be read once."""

    def __init__(
        self, letters: DeadLetters, request: ReplayRequest, sent: pa.Array, data: Snapshot
    ) -> None:
        self._letters = letters
        self._request = request
        self._sent = sent
        self._count = _Count()
        self.places = places_of(self._counted(list(dict.fromkeys([*IDENTITY, "dlq_id"]))))
        self.places.settle(
            {key: position.next_offset for key, position in data.memory.positions.items()}
        )
        if request.to is None:
            self._find_rows(data)
        self.todo = self.places.count(Fate.TO_DO)
        self.there = self.places.count(Fate.THERE)
        self.pending = self.places.count(Fate.PENDING)

    @property
    def matched(self) -> int:
        """How many dead letters the selector found."""
        return self._count.matched

    @property
    def left(self) -> int:
        """How many of them nothing is done with: purged, erased, or sent to a topic before."""
        return self._count.left

    @property
    def planned(self) -> int:
        """How many will be judged: all that are to do, or the limit."""
        limit = self._request.limit
        return self.todo if limit is None else min(limit, self.todo)

    def batches(self, bounds: Bounds) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
        """(letters to do, letters that are rows already but not said to be), each exactly once.

        At most `limit` letters are to do in all. Raises `Unavailable`.
        """
        budget = self.planned
        if not budget and not (self.there and self._count.unsaid):
            return
        for batch in _bounded(self._concerned(), bounds):
            fates = self.places.take(batch)
            rows = np.flatnonzero(fates == Fate.TO_DO)[:budget]
            budget -= len(rows)
            there = np.flatnonzero(fates == Fate.THERE)
            if len(rows) or len(there):
                yield batch.take(pa.array(rows)), batch.take(pa.array(there))
            if not budget and not self.places.count(Fate.THERE):
                return

    def _find_rows(self, data: Snapshot) -> None:
        where = self.places.where(DATA.partition, DATA.offset)
        if where is None:
            return
        for found in scan(data, DATA, where=where):
            if found.key is not None:
                self.places.found(found.key, np.asarray(found.offsets, dtype=np.int64))

    def _counted(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        for batch in self._letters.read(self._request.selector, columns):
            eligible = self._filtered(batch)
            self._count.matched += batch.num_rows
            self._count.left += batch.num_rows - eligible.num_rows
            self._count.unsaid += int(_unsaid(eligible).sum())
            yield eligible
        if not self._count.matched:
            raise nothing_matched(self._letters, self._request.selector)

    def _concerned(self) -> Iterator[pa.RecordBatch]:
        """The letters with their payloads, without those that nothing is to be done with."""
        for batch in self._letters.read(self._request.selector, _READ, _PAYLOADS_AT_ONCE):
            eligible = self._filtered(batch)
            fates = self.places.fates(eligible)
            concerned = (fates == Fate.TO_DO) | ((fates == Fate.THERE) & _unsaid(eligible))
            if concerned.all():
                yield eligible
            elif concerned.any():
                yield eligible.filter(pa.array(concerned))

    def _filtered(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Without those that must not come back, and those that would be sent a second time."""
        gone = pc.is_in(batch["status"], value_set=pa.array(_GONE))
        replayed = pc.equal(batch["status"], "replayed")
        if self._request.to is None:
            replayed = pc.and_(replayed, pc.is_in(batch["dlq_id"], value_set=self._sent))
        return batch.filter(pc.invert(pc.or_(gone, replayed)))


def select(
    letters: DeadLetters, request: ReplayRequest, tables: Tables, data: Snapshot
) -> Selection:
    """Settle the fate of every dead letter that is meant, on these snapshots.

    `data` is the snapshot that the desk holds, or for a dry run the head; `letters` were opened
    after it. Raises what `nothing_matched` makes, and `Unavailable`.
    """
    return Selection(letters, request, _sent_to_topics(tables), data)


def _sent_to_topics(tables: Tables) -> pa.Array:
    """The records that went back to a topic: to write them too would double them downstream."""
    ledger = open_ledger(tables)
    if ledger is None:
        return pa.array([], pa.string())
    wanted = (text_column("action") == "replayed") & pc.starts_with(
        text_column("target"), TOPIC_TARGET
    )
    with mapped(ledger.uri, "reading"):
        rows = ledger.table.to_pyarrow_dataset().to_table(columns=["dlq_id"], filter=wanted)
    return pc.unique(rows["dlq_id"])


def _unsaid(batch: pa.RecordBatch) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.asarray(pc.not_equal(batch["status"], "replayed"), dtype=np.bool_)


def _bounded(batches: Iterator[pa.RecordBatch], bounds: Bounds) -> Iterator[pa.RecordBatch]:
    """The same rows in as few batches as the bounds allow; one row may pass the bytes alone."""
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        ends = np.cumsum(_sizes(batch))
        begin = 0
        while begin < batch.num_rows:
            before = int(ends[begin - 1]) if begin else 0
            room = before + bounds.bytes_max - size
            fitting = int(np.searchsorted(ends, room, side="right")) - begin
            length = min(fitting, bounds.rows_max - rows, batch.num_rows - begin)
            if length <= 0 and held:
                yield pa.concat_batches(held)
                held, rows, size = [], 0, 0
                continue
            length = max(1, length)
            held.append(batch.slice(begin, length))
            begin += length
            rows += length
            size += int(ends[begin - 1]) - before
    if held:
        yield pa.concat_batches(held)


def _sizes(batch: pa.RecordBatch) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    lengths = np.full(batch.num_rows, _ROW_BYTES, np.int64)
    for name in ("key", "value"):
        filled = pc.binary_length(batch[name]).fill_null(0)
        lengths += np.asarray(filled, dtype=np.int64)
    return lengths
