"""`dlq purge`: old dead letters go to the archive and out of their table, each on record.

In this order, so that dying anywhere loses nothing and the next purge completes it: complete rows
to the archive, read back and compared; then a ledger row `purged` each; then out of the table.
Letters that the ledger calls purged or erased and that are still there are what a purge left
behind that died: every purge removes them first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pyarrow as pa

from stream_processor.operations.dlq.archive import ACTIONS
from stream_processor.operations.dlq.keepers import Keepers, refuse_unrecorded
from stream_processor.operations.dlq.letters import DeadLetters, open_letters
from stream_processor.operations.dlq.purge_plan import PurgePlan, eligible, plan_on
from stream_processor.operations.dlq.removal import Removal
from stream_processor.operations.dlq.replay_actions import Deed, action_rows
from stream_processor.operations.dlq.replay_request import Surroundings
from stream_processor.operations.dlq.selection import Selector
from stream_processor.operations.snapshots import Snapshot, open_data, open_ledger
from stream_processor.ports import Memory
from stream_processor.schema import records
from stream_processor.schema.text_column import text_column
from stream_processor.sinks.delta_errors import mapped

_CHUNK_ROWS = 50_000
_CHUNK_BYTES = 32 * 2**20
_READ_ROWS = 512  # a payload may have 1 MiB


@dataclass(frozen=True, slots=True)
class PurgeRequest:
    """Which dead letters: those selected that failed before a moment, open ones only if told so."""

    selector: Selector
    before: datetime
    statuses: tuple[str, ...] = ("replayed", "ignored")

    def selected(self) -> Selector:
        """The selector with the moment in it; what the status may be is judged apart."""
        until = self.selector.until
        before = self.before if until is None else min(until, self.before)
        return replace(self.selector, until=before, status=None)


@dataclass(frozen=True, slots=True)
class PurgeReport:
    """What was done. `completed` are letters that an earlier job had left behind.

    `files` are the addresses of the archive's files; `stopped`: asked to end before all was done.
    """

    run_id: str
    purged: int
    completed: int
    files: tuple[str, ...]
    stopped: bool

    def as_json(self) -> dict[str, Any]:
        """For `dlq purge --yes --json`."""
        return asdict(self)


def plan_purge(keepers: Keepers, request: PurgeRequest) -> PurgePlan:
    """What a purge would do now; writes nothing. Raises what `nothing_matched` makes."""
    data = open_data(keepers.tables)
    return plan_on(open_letters(keepers.tables), data.memory, request, keepers.archive.uri)


def purge(keepers: Keepers, request: PurgeRequest, around: Surroundings) -> PurgeReport:
    """Do it, day by day, the oldest first; ends between two chunks when it is asked to stop.

    Called by `dlq purge --yes`, after the plan. Raises `Fenced` when another job took the desk,
    `StoreUnavailable` also when the archive does not read back, and `Unavailable`; whatever it
    raises, the next purge goes on where this one was.
    """
    keepers.desk.claim("purge")
    data = open_data(keepers.tables)
    letters = open_letters(keepers.tables)
    refuse_unrecorded(keepers)
    plan = plan_on(letters, data.memory, request, keepers.archive.uri)
    job = _Job(keepers, request, around, letters, data.memory)
    completed = 0
    for day, ids in plan.unfinished.items():
        job.removal.remove(day, ids)
        completed += len(ids)
    files: list[str] = []
    purged = 0
    for each in plan.days:
        made, gone = job.day(each.day)
        files += made
        purged += gone
        around.progress(purged, plan.letters)
    stopped = around.stop.is_set() and purged < plan.letters
    return PurgeReport(around.doer.run_id, purged, completed, tuple(files), stopped)


class _Job:
    """One purge at the desk: the snapshots that it works on, and the way to remove."""

    def __init__(
        self,
        keepers: Keepers,
        request: PurgeRequest,
        around: Surroundings,
        letters: DeadLetters,
        memory: Memory,
    ) -> None:
        self._keepers = keepers
        self._request = request
        self._around = around
        self._letters = letters
        self._memory = memory
        self._ledger = open_ledger(keepers.tables)
        self.removal = Removal(keepers.letters, keepers.desk, around, "purge")

    def day(self, day: date) -> tuple[list[str], int]:
        """Archive, record and remove the letters of one day, or of as many chunks as there is time.

        Returns the files of the archive, and how many letters are gone.
        """
        files: list[str] = []
        ids: list[pa.Array] = []
        for chunk in _chunks(self._rows(day)):
            if self._around.stop.is_set():
                break
            ordered = chunk.sort_by([(name, "ascending") for name in _ORDER])
            self._around.kill_point("purge.before_archive")
            key = self._keepers.archive.write(day, self._with_history(ordered))
            files.append(f"{self._keepers.archive.uri}/{key}")
            self._around.kill_point("purge.archived")
            self._record(ordered, files[-1])
            self._around.kill_point("purge.recorded")
            ids.append(ordered["dlq_id"].combine_chunks())
        if ids:
            self.removal.remove(day, pa.concat_arrays(ids))
        return files, sum(map(len, ids))

    def _rows(self, day: date) -> Iterator[pa.RecordBatch]:
        midnight = datetime.combine(day, time(), UTC)
        chosen = self._request.selected()
        since = midnight if chosen.since is None else max(chosen.since, midnight)
        until = min(chosen.until or midnight, midnight + timedelta(days=1))
        columns = [field.name for field in self._letters.table.table.schema().fields]
        one_day = replace(chosen, since=since, until=until)
        for batch in self._letters.read(one_day, columns, _READ_ROWS):
            yield batch.filter(eligible(batch, self._memory, self._request.statuses))

    def _with_history(self, letters: pa.Table) -> pa.Table:
        """The letters with all ledger rows of each as `actions`."""
        history: dict[str, list[dict[str, object]]] = {}
        if self._ledger is not None and len(self._letters.statuses):
            for row in _actions(self._ledger, letters["dlq_id"]).to_pylist():
                history.setdefault(row["dlq_id"], []).append(row)
        actions = pa.array([history.get(i, []) for i in letters["dlq_id"].to_pylist()], ACTIONS)
        return letters.drop_columns("status").append_column("actions", actions)

    def _record(self, letters: pa.Table, target: str) -> None:
        at = datetime.fromtimestamp(self._around.clock.now(), UTC)
        deed = Deed("purged", target, None, "")
        [batch] = letters.combine_chunks().to_batches()
        self._keepers.ledger.append(action_rows(batch, deed, self._around.doer, at))


_ORDER = ("topic", "topic_id", "partition", "offset")


def _actions(ledger: Snapshot, ids: pa.ChunkedArray) -> pa.Table:
    wanted = text_column("dlq_id").isin(ids.combine_chunks())
    with mapped(ledger.uri, "reading"):
        rows = ledger.table.to_pyarrow_dataset().to_table(
            columns=list(records.ACTION.names), filter=wanted
        )
    return rows.sort_by([("at", "ascending"), ("action_id", "ascending")])


def _chunks(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The same rows in tables of a bounded size, which are written in one file each."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        if batch.num_rows:
            held.append(batch)
        if _full(held):
            yield pa.Table.from_batches(held)
            held = []
    if held:
        yield pa.Table.from_batches(held)


def _full(held: Sequence[pa.RecordBatch]) -> bool:
    rows, size = sum(b.num_rows for b in held), sum(int(b.nbytes) for b in held)
    return rows >= _CHUNK_ROWS or size >= _CHUNK_BYTES
