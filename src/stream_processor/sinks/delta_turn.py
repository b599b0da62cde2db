"""Whose turn it is to join files of a table: one maintenance at a time.

The Delta library lets an OPTIMIZE behind another succeed though both have joined the same files,
which doubles every row, and drops the `txn` ids that would prevent it (measured with 1.6.6). So a
turn is taken before, by a compare-and-swap on an id of its own:

    <pipeline id>/#maintenance    odd: somebody has the turn, even: nobody; half of it is since
                                  when, in milliseconds since the epoch

Who died in its turn leaves it taken. After a while another takes it over, and then changes the
table's metadata: that aborts whatever join the other may still have under way, on any snapshot
from before. A stream has to take over its partitions anew then, which an ordinary turn spares it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from deltalake import DeltaTable

from stream_processor.errors import Fenced, InternalError
from stream_processor.ports import ObjectStore
from stream_processor.sinks import delta_log
from stream_processor.sinks.delta_commit import AFTER_COMMIT, commit, properties
from stream_processor.sinks.delta_create import TableSpec, load
from stream_processor.sinks.delta_errors import mapped
from stream_processor.sinks.delta_restore import MAINTENANCE

ABANDONED_SECONDS = 600.0
"""A turn that was not renewed for so long may be taken over: whoever has it loses at most a step,
since a join commits what it has every few seconds."""

_FENCE_PROPERTY = "stream_processor.maintenance"


class Turn:
    """One maintenance's turn at one table. Made by `operations.maintain`; used by one thread.

    `now` is seconds since the epoch. State: the number under which the turn is ours.
    """

    def __init__(
        self, spec: TableSpec, store: ObjectStore, run_id: str, now: Callable[[], float]
    ) -> None:
        self._spec = spec
        self._store = store
        self._run_id = run_id
        self._now = now
        self._number: int | None = None

    def take(self) -> DeltaTable:
        """Begin; the handle to look at what there is to do. Raises `Fenced` while another has the
        turn, and `Unavailable`."""
        table, before = self._look()
        taken = before % 2 == 1
        since = before // 2 / 1000
        if taken and self._now() - since < ABANDONED_SECONDS:
            until = datetime.fromtimestamp(since + ABANDONED_SECONDS, UTC)
            raise Fenced(
                f"another maintenance of {self._spec.uri} is at work",
                hint=f"one that has died is taken over from {until:%H:%M:%S} UTC on",
            )
        self._write(table, self._next(before) * 2 + 1)
        return self._fence() if taken else table

    def handle(self) -> DeltaTable:
        """Renew the turn; the handle for one step in it. Raises `Fenced` when it is lost."""
        table, found = self._look()
        if self._number is None or found != self._number:
            raise Fenced(f"another maintenance of {self._spec.uri} has taken over")
        self._write(table, self._next(found) * 2 + 1)
        return table

    def leave(self) -> None:
        """End: the next one may begin at once. Silent when the turn is lost."""
        table, found = self._look()
        if self._number is not None and found == self._number:
            self._write(table, self._next(found) * 2)
        self._number = None

    def _look(self) -> tuple[DeltaTable, int]:
        table = load(self._spec)
        if table is None:
            raise InternalError(f"{self._spec.uri} went away during a job")
        txns = delta_log.transactions(self._store, table.version())
        return table, txns.get(self._id, 0)

    def _next(self, before: int) -> int:
        """The moment, and always a later one than the last."""
        return max(int(self._now() * 1000), before // 2 + 1)

    def _write(self, table: DeltaTable, number: int) -> None:
        commit(self._spec.uri, table, None, {self._id: number}, self._note())
        self._number = number

    def _fence(self) -> DeltaTable:
        table, _ = self._look()
        with mapped(self._spec.uri, "taking over the maintenance of"):
            table.alter.set_table_properties(
                {_FENCE_PROPERTY: str(self._number)},
                raise_if_not_exists=False,
                commit_properties=properties({}, self._note()),
                post_commithook_properties=AFTER_COMMIT,
            )
        return table

    def _note(self) -> Mapping[str, Any]:
        return {"kind": MAINTENANCE, "step": "turn", "run": self._run_id}

    @property
    def _id(self) -> str:
        return f"{self._spec.pipeline_id}/#maintenance"
