"""Who may move dead letters now: replay, purge and erase take turns at one desk.

The desk is one `txn` id in the data table, `<pipeline id>/#actions`, whose version counts the steps
of all such jobs. A job claims it by a commit without rows and then makes every step on the handle
that it holds, so a step succeeds if and only if nobody else has claimed the desk meanwhile
(commit protocol, a.2). A stream does not name this id and is neither hindered nor hinders.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable

from stream_processor.errors import ConfigurationError, Fenced, InternalError
from stream_processor.ports import KillPoint, ObjectStore, never
from stream_processor.sinks import delta_log
from stream_processor.sinks.delta_commit import commit
from stream_processor.sinks.delta_create import TableSpec, load, refuse_unless_writable


def desk_id(pipeline_id: str) -> str:
    """The `txn` id under which a table counts the steps of jobs on dead letters."""
    return f"{pipeline_id}/#actions"


class Desk:
    """One job's turn at the desk. Made by `operations.assemble`; used by one thread.

    State: the handle of the data table on which the last step was made, and its number.
    """

    def __init__(
        self, spec: TableSpec, store: ObjectStore, run_id: str, kill_point: KillPoint = never
    ) -> None:
        self.spec = spec
        self.run_id = run_id
        self._store = store
        self._kill_point = kill_point
        self._table: DeltaTable | None = None
        self.number = 0

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
        txns = delta_log.transactions(self._store, table.version())
        before = txns.get(desk_id(self.spec.pipeline_id), 0)
        self._table, self.number = table, before
        self.step(lambda: self._append(None, {"kind": "desk", "verb": verb}))
        return before

    def write(self, rows: pa.Table | None, note: Mapping[str, Any]) -> int:
        """One step that appends rows; return the table's version that it made.

        `note` goes into the log beside the number and the run. Raises as `step`.
        """
        self.step(lambda: self._append(rows, note))
        return int(self.table.version())

    def step(self, act: Callable[[], None]) -> None:
        """Run one commit on the held handle that carries `txns()`; count it when it is durable.

        Raises `Fenced` when another job has the desk now, or when the outcome is unknown: the job
        ends, and when it is started again the log tells what became of the step.
        """
        self._kill_point("desk.before_step")
        try:
            act()
        except Fenced as lost:
            raise Fenced(
                "another replay, purge or erase of this pipeline has begun and has the desk now",
                hint="wait until it has ended, then start this again: what is done stays done",
            ) from lost
        self.number += 1
        self._kill_point("desk.after_step")

    def txns(self) -> dict[str, int]:
        """What the commit of the next step must carry to be the next."""
        return {desk_id(self.spec.pipeline_id): self.number + 1}

    def _append(self, rows: pa.Table | None, note: Mapping[str, Any]) -> None:
        commit(self.spec.uri, self.table, rows, self.txns(), {"run": self.run_id, **note})
