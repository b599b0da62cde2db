"""Who may move dead letters now: replay, purge and erase take turns at one desk.

The desk is one `txn` id in the data table, `<pipeline id>/#actions`, whose version counts the steps
of all such jobs. A job claims it by a commit without rows and then makes every step on the handle
that it holds, so a step succeeds if and only if nobody else has claimed the desk meanwhile
(commit protocol, a.2). A stream does not name this id and is neither hindered nor hinders.

Two more ids remember the newest step whose effects the ledger must name, for a job that was killed
before it wrote them (docs/explanation/replay.md): `#actions#write` is its number, and
`#actions#base` the version of the table that it was made on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable

from stream_processor.errors import ConfigurationError, Fenced, InternalError, TableRewound
from stream_processor.ports import KillPoint, ObjectStore, never
from stream_processor.sinks import delta_log
from stream_processor.sinks.delta_commit import commit
from stream_processor.sinks.delta_create import TableSpec, load, load_at, refuse_unless_writable
from stream_processor.sinks.delta_delete import delete
from stream_processor.sinks.delta_evolve import refuse_missing_columns
from stream_processor.sinks.delta_predicates import Predicate
from stream_processor.sinks.delta_restore import restored_version

# A handle of the library keeps 0.1 MiB of every commit made on it, as long as it lives.
_STEPS_PER_HANDLE = 20


def desk_id(pipeline_id: str) -> str:
    """The `txn` id under which a table counts the steps of jobs on dead letters."""
    return f"{pipeline_id}/#actions"


def write_id(pipeline_id: str) -> str:
    """The `txn` id of the newest step that the ledger must name."""
    return f"{desk_id(pipeline_id)}#write"


def named_id(pipeline_id: str, table_id: str) -> str:
    """The `txn` id by which the ledger remembers the newest step of this data table that it names.

    A table that was dropped and made again counts from the beginning, so the ledger keeps them
    apart by the id that Delta gives to each.
    """
    return f"{write_id(pipeline_id)}@{table_id}"


def _base_id(pipeline_id: str) -> str:
    return f"{desk_id(pipeline_id)}#base"


@dataclass(frozen=True, slots=True)
class LastWrite:
    """The newest step by `Desk.write`: its number, a version just before it, and in which table."""

    number: int
    base: int
    table_id: str


def last_write(pipeline_id: str, txns: Mapping[str, int], table: DeltaTable) -> LastWrite | None:
    """The newest step by `Desk.write` that this table, with these `txn` entries, holds."""
    number, base = txns.get(write_id(pipeline_id)), txns.get(_base_id(pipeline_id))
    if number is None or base is None:
        return None
    return LastWrite(number, base, str(table.metadata().id))


class Desk:
    """One job's turn at the desk. Made by `operations.assemble`; used by one thread.

    State: the handle of the data table on which the last step was made, and its number.
    """

    def __init__(
        self, spec: TableSpec, store: ObjectStore, run_id: str, kill_point: KillPoint = never
    ) -> None:
        self.spec = spec
        self.run_id = run_id
        self.store = store
        self._kill_point = kill_point
        self._table: DeltaTable | None = None
        self._steps_on_handle = 0
        self.number = 0
        self.last_write: LastWrite | None = None

    @property
    def table(self) -> DeltaTable:
        """The data table on which the next step will be made. Raises `InternalError` unclaimed."""
        if self._table is None:
            raise InternalError("the desk was used before it was claimed")
        return self._table

    def claim(self, verb: str) -> int:
        """Take the desk from whoever had it; return the number of the last step before ours.

        Raises `ConfigurationError` when there is no data table, `TableRefused`, `Fenced` when
        another claimed it at the same moment, and `Unavailable`.
        """
        table = load(self.spec)
        if table is None:
            raise ConfigurationError(
                f"there is no table at {self.spec.uri}",
                hint="check the table's address in the pipeline file; the first `run` creates it",
            )
        refuse_unless_writable(self.spec, table)
        refuse_missing_columns(self.spec, table)
        if restored_version(self.store, table.version()) is not None:
            # A step of ours would be the newest commit and hide the restore from the stream.
            raise TableRewound(
                f"{self.spec.uri} was restored to an older version",
                hint="`run --accept-rewind` reads again from where the table stood then; "
                "start this again afterwards",
            )
        txns = delta_log.transactions(self.store, table.version())
        before = txns.get(desk_id(self.spec.pipeline_id), 0)
        self._table, self.number = table, before
        self.last_write = last_write(self.spec.pipeline_id, txns, table)
        self.step(lambda: self._append(None, {"kind": "desk", "verb": verb}))
        return before

    def write(self, rows: pa.Table | None, note: Mapping[str, Any]) -> LastWrite:
        """One step that the ledger must name afterwards; the table is then at the version it made.

        `rows` may be None. `note` goes into the log beside the run. Raises as `step`.
        """
        pipeline_id = self.spec.pipeline_id
        table_id = str(self.table.metadata().id)
        written = LastWrite(self.number + 1, int(self.table.version()), table_id)
        txns = {write_id(pipeline_id): written.number, _base_id(pipeline_id): written.base}
        self.step(lambda: self._append(rows, note, txns))
        self.last_write = written
        return written

    def step(self, act: Callable[[], None]) -> None:
        """Run one commit on the held handle that carries `txns()`; count it when it is durable.

        Raises `Fenced` when another job has the desk now, or when the outcome is unknown: the job
        ends, and when it is started again the log tells what became of the step.
        """
        self._renew_handle()
        self._kill_point("desk.before_step")
        try:
            act()
        except Fenced as lost:
            raise self._lost() from lost
        self.number += 1
        self._kill_point("desk.after_step")

    def keep(self, note: Mapping[str, Any]) -> None:
        """One step that changes nothing here: proof that the desk is ours still. Raises as `step`.

        Made before each change of another table, as the lock is only in this one.
        """
        self.step(lambda: self._append(None, note))

    def remove(self, predicate: Predicate, note: Mapping[str, Any]) -> None:
        """One step that deletes rows of the data table; some must be meant. Raises as `step`."""

        def act() -> None:
            told = {"run": self.run_id, **note}
            delete(self.spec.uri, self.table, predicate, self.txns(), told)

        self.step(act)

    def renew(self) -> None:
        """Go on at the head of the data table, as long as the desk is still ours.

        Needed before a step that reads the table, such as a removal: rows that the stream has added
        since would abort it. Raises `Fenced` when another job has the desk now, and `Unavailable`.
        """
        table = load(self.spec)
        if table is None:
            raise InternalError("the data table went away during a job")
        txns = delta_log.transactions(self.store, table.version())
        if txns.get(desk_id(self.spec.pipeline_id), 0) != self.number:
            raise _taken()
        self._table, self._steps_on_handle = table, 0

    def txns(self) -> dict[str, int]:
        """What the commit of the next step must carry to be the next."""
        return {desk_id(self.spec.pipeline_id): self.number + 1}

    def _lost(self) -> Fenced:
        """Why a step did not become durable, as the head of the table tells."""
        table = load(self.spec)
        number = 0
        if table is not None:
            txns = delta_log.transactions(self.store, table.version())
            number = txns.get(desk_id(self.spec.pipeline_id), 0)
        return _taken() if number > self.number else _changed(self.spec.uri)

    def _renew_handle(self) -> None:
        """Now and then a new handle on the very version of the old one: it is the same lock."""
        if self._steps_on_handle >= _STEPS_PER_HANDLE:
            self._table = load_at(self.spec, int(self.table.version()))
            self._steps_on_handle = 0
        self._steps_on_handle += 1

    def _append(
        self, rows: pa.Table | None, note: Mapping[str, Any], more: Mapping[str, int] | None = None
    ) -> None:
        txns = {**self.txns(), **(more or {})}
        commit(self.spec.uri, self.table, rows, txns, {"run": self.run_id, **note})


def _taken() -> Fenced:
    return Fenced(
        "another replay, purge or erase of this pipeline has begun and has the desk now",
        hint="wait until it has ended, then start this again: what is done stays done",
    )


def _changed(uri: str) -> Fenced:
    return Fenced(
        f"somebody deleted, compacted or restored rows of {uri} meanwhile",
        hint="start this again: what is done stays done",
    )
