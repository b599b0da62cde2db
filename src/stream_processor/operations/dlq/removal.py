"""Takes dead letters out of their table, in bounded steps, beside a running stream.

A removal aborts the next commit that a stream makes on the handle that it holds (commit protocol,
a.12), which costs it one taking over. So steps are few, and there is a pause between two of them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from stream_processor.errors import ConfigurationError, Fenced
from stream_processor.operations.dlq.identity import IDENTITY, LETTERS, Identity, offsets_of
from stream_processor.operations.dlq.pace import let_the_stream_commit
from stream_processor.operations.dlq.replay_places import Int64s, by_partition
from stream_processor.operations.dlq.replay_request import Surroundings
from stream_processor.ports import Memory, Partition
from stream_processor.runtime.retry import Backoff
from stream_processor.schema import records
from stream_processor.sinks import delta_predicates as sql
from stream_processor.sinks.delta_create import TableSpec, load, refuse_unless_writable
from stream_processor.sinks.delta_delete import delete
from stream_processor.sinks.delta_desk import Desk, desk_id
from stream_processor.sinks.delta_errors import mapped
from stream_processor.sinks.delta_predicates import Predicate

RANGES_MAX = 128
"""Runs of offsets that one step removes, unless it removes a whole day."""
_TRIES_MAX = 10
_BACKOFF = Backoff()
_NO_LETTERS = pa.RecordBatch.from_pylist(
    [], schema=pa.schema([records.DEAD_LETTER.field(name) for name in ("dlq_id", *IDENTITY)])
)

Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]


class Removal:
    """One job's way to remove dead letters, for the verb `purge` or `erase`; for one thread.

    `spec` is their table, `desk` is claimed. State: whether a step was made, which the next one
    keeps its distance from.
    """

    def __init__(self, spec: TableSpec, desk: Desk, around: Surroundings, verb: str) -> None:
        self.spec = spec
        self.desk = desk
        self.around = around
        self.verb = verb
        self._stepped = False

    def remove(self, day: date, ids: pa.Array) -> None:
        """Remove the letters of one `failed_date` that have these ids; those that are gone, are.

        Whole days go by a line in the log; of other days the files are written again. Raises
        `Fenced` when another job took the desk, or a stream was always faster, and `Unavailable`.
        """
        self._retried(lambda: self._try(day, ids))

    def remove_one(self, identity: Identity) -> None:
        """The same for one event, by its place; nothing happens when it is not there."""
        self._retried(lambda: self._try_one(identity))

    def _retried(self, act: Callable[[], None]) -> None:
        dice = random.Random()  # noqa: S311 - jitter
        for failures in range(1, _TRIES_MAX):
            try:
                return act()
            except _Outrun:
                self.around.stop.wait(_BACKOFF.delay_seconds(failures, dice))
        return act()

    def _try_one(self, identity: Identity) -> None:
        table = self._head()
        with mapped(self.spec.uri, "reading"):
            found = table.to_pyarrow_dataset().count_rows(filter=identity.expression(LETTERS))
        if found:
            self._step(table, identity.predicate(LETTERS))

    def _try(self, day: date, ids: pa.Array) -> None:
        table = self._head()
        for predicate in steps(_of_day(self.spec.uri, table, day), day, ids):
            self._step(table, predicate)

    def _step(self, table: DeltaTable, predicate: Predicate) -> None:
        if self._stepped:
            let_the_stream_commit(self.desk.store, self.desk.table.version(), self.around)
        self._stepped = True
        note = {"kind": self.verb, "run": self.desk.run_id}
        self.desk.keep(note)
        txns = {desk_id(self.spec.pipeline_id): self.desk.number}
        try:
            delete(self.spec.uri, table, predicate, txns, note)
        except Fenced as lost:
            raise _Outrun(lost.message, hint=lost.hint) from lost
        self.around.kill_point(f"{self.verb}.removed")

    def _head(self) -> DeltaTable:
        table = load(self.spec)
        if table is None:
            raise ConfigurationError(f"there is no dead letter table at {self.spec.uri}")
        refuse_unless_writable(self.spec, table)
        return table


class _Outrun(Fenced):
    """A stream added or changed something of the same day first; a new look will do."""


def steps(letters: pa.RecordBatch, day: date, ids: pa.Array) -> Iterator[Predicate]:
    """What to delete, one predicate per step, of all `letters` of a day: those with these ids.

    `letters` has `dlq_id` and the columns `IDENTITY`. A run of offsets ends where a letter stands
    that is to stay, so a predicate means no other letter of the snapshot that was read.
    """
    chosen = np.asarray(pc.is_in(letters["dlq_id"], value_set=ids), dtype=np.bool_)
    if chosen.all():
        if len(chosen):
            yield sql.is_date("failed_date", day)
        return
    terms = []
    for _, rows, offsets in by_partition(letters):
        topic, topic_id, number = (letters[name][rows[0]].as_py() for name in IDENTITY[:3])
        partition = Partition(topic, topic_id, number)
        for first, last in _runs(offsets, chosen[rows]):
            terms.append(offsets_of(partition, first, last, LETTERS))
    for begin in range(0, len(terms), RANGES_MAX):
        some = sql.any_of(terms[begin : begin + RANGES_MAX])
        yield sql.all_of([sql.is_date("failed_date", day), some])


def _runs(offsets: Int64s, chosen: Mask) -> Iterator[tuple[int, int]]:
    """The first and the last of each row of neighbours that are all chosen."""
    order = np.argsort(offsets, kind="stable")
    offsets, marks = offsets[order], chosen[order].astype(np.int8)
    edges = np.diff(marks, prepend=0, append=0)
    begins, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        yield int(offsets[begin]), int(offsets[end])


def _of_day(uri: str, table: DeltaTable, day: date) -> pa.RecordBatch:
    wanted = pc.field("failed_date") == pa.scalar(day, pa.date32())
    with mapped(uri, "reading"):
        rows = table.to_pyarrow_dataset().to_table(columns=["dlq_id", *IDENTITY], filter=wanted)
    return rows.combine_chunks().to_batches()[0] if rows.num_rows else _NO_LETTERS


def below(batch: pa.RecordBatch, memory: Memory) -> Mask:
    """Which dead letters are done: below the data table's offsets; the others are pending.

    A row without a place in Kafka, which no stream writes, is never done.
    """
    done = np.zeros(batch.num_rows, np.bool_)
    for key, rows, offsets in by_partition(batch):
        position = memory.positions.get(key)
        if position is not None:
            done[rows] = offsets < position.next_offset
    return done
