"""`dlq erase`: one event leaves both tables and the archive, for good, and on record.

In this order, so that `verify` stays clean and the next erase completes one that died: a ledger
row `erased`; out of the dead letters; out of the data table; out of the archive; and a second row
that says so, from which the time is counted until vacuum may remove the bytes.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from stream_processor.errors import Fenced
from stream_processor.operations.dlq.erase_identity import EraseRequest, identify
from stream_processor.operations.dlq.identity import DATA, LETTERS, Identity
from stream_processor.operations.dlq.keepers import Keepers, refuse_unrecorded
from stream_processor.operations.dlq.removal import Removal
from stream_processor.operations.dlq.replay_actions import Deed, action_rows
from stream_processor.operations.dlq.replay_request import Surroundings
from stream_processor.operations.snapshots import (
    Snapshot,
    open_data,
    open_dead_letters,
    open_ledger,
)
from stream_processor.ports import Memory
from stream_processor.runtime.retry import Backoff
from stream_processor.schema import records
from stream_processor.schema.text_column import text_column
from stream_processor.sinks.delta_delete import retention_seconds
from stream_processor.sinks.delta_errors import mapped

_TRIES_MAX = 10
_BACKOFF = Backoff()
_DONE = "removed from the tables and the archive"


@dataclass(frozen=True, slots=True)
class ErasePlan:
    """Where the event is. `erased_at`: when an earlier erase has ended, None where none has.

    `retention_seconds` is how long the tables keep files that they no longer name.
    """

    identity: Identity
    dlq_id: str
    in_dead_letters: bool
    in_data: bool
    in_archive: tuple[str, ...]
    erased_at: datetime | None
    retention_seconds: float

    @property
    def anywhere(self) -> bool:
        """Whether a table or the archive holds it."""
        return self.in_dead_letters or self.in_data or bool(self.in_archive)

    def physical_at(self, removed: datetime) -> datetime:
        """From when on vacuum removes the bytes."""
        return removed + timedelta(seconds=self.retention_seconds)

    def as_json(self) -> dict[str, Any]:
        """For `dlq erase --json`."""
        partition = self.identity.partition
        return {
            "topic": partition.topic,
            "topic_id": partition.topic_id,
            "partition": partition.partition,
            "offset": self.identity.offset,
            "dlq_id": self.dlq_id,
            "in_dead_letters": self.in_dead_letters,
            "in_data": self.in_data,
            "in_archive": list(self.in_archive),
            "erased_at": None if self.erased_at is None else self.erased_at.isoformat(),
            "retention_seconds": self.retention_seconds,
        }


@dataclass(frozen=True, slots=True)
class EraseReport:
    """What was done, and from when on vacuum removes the bytes."""

    run_id: str
    plan: ErasePlan
    physical_at: datetime

    def as_json(self) -> dict[str, Any]:
        """For `dlq erase --yes --json`."""
        told = {"run_id": self.run_id, "physical_at": self.physical_at.isoformat()}
        return {**self.plan.as_json(), **told}


def plan_erase(keepers: Keepers, request: EraseRequest) -> ErasePlan:
    """Where the event is now; writes nothing.

    Raises `StreamProcessorError` when the tables know no such event, know several, or hold nothing
    of it and never erased it, and `Unavailable`.
    """
    data, dead = open_data(keepers.tables), open_dead_letters(keepers.tables)
    identity = identify(request, data.memory, dead.memory if dead else Memory({}))
    dlq_id = identity.dlq_id(keepers.tables.pipeline_id)
    plan = ErasePlan(
        identity=identity,
        dlq_id=dlq_id,
        in_dead_letters=dead is not None and holds(dead, identity, LETTERS),
        in_data=holds(data, identity, DATA),
        in_archive=tuple(keepers.archive.holding(identity)),
        erased_at=_erased_at(keepers, dlq_id),
        retention_seconds=max(retention_seconds(each.table) for each in (data, dead) if each),
    )
    if not plan.anywhere and not _actions(keepers, dlq_id):
        raise request.nothing_stored(identity)
    return plan


def erase(keepers: Keepers, request: EraseRequest, around: Surroundings) -> EraseReport:
    """Do it. Called by `dlq erase --yes`, after the plan.

    Raises as `plan_erase`, and `Fenced` when another job took the desk: whatever it raises, the
    next erase of the same event goes on.
    """
    keepers.desk.claim("erase")
    refuse_unrecorded(keepers)
    plan = plan_erase(keepers, request)
    if plan.erased_at is not None and not plan.anywhere:
        return EraseReport(around.doer.run_id, plan, plan.physical_at(plan.erased_at))
    around.kill_point("erase.planned")
    _record(keepers, plan, around, "")
    around.kill_point("erase.recorded")
    if plan.in_dead_letters:
        Removal(keepers.letters, keepers.desk, around, "erase").remove_one(plan.identity)
    _remove_row(keepers, plan.identity, around)
    around.kill_point("erase.row_removed")
    for key in plan.in_archive:
        keepers.archive.drop(key, plan.identity)
        around.kill_point("erase.archive_rewritten")
    removed = _record(keepers, plan, around, _DONE)
    return EraseReport(around.doer.run_id, plan, plan.physical_at(removed))


def holds(snapshot: Snapshot, identity: Identity, prefix: str) -> bool:
    """Whether a table has a row of this event; `prefix` as in `identity`."""
    with mapped(snapshot.uri, "reading"):
        dataset = snapshot.table.to_pyarrow_dataset()
        return bool(dataset.count_rows(filter=identity.expression(prefix)))


def _remove_row(keepers: Keepers, identity: Identity, around: Surroundings) -> None:
    """Out of the data table, on the lock of the desk: no replay can bring it back meanwhile."""
    dice = random.Random()  # noqa: S311 - jitter
    for failures in range(1, _TRIES_MAX + 1):
        keepers.desk.renew()
        with mapped(keepers.tables.data, "reading"):
            dataset = keepers.desk.table.to_pyarrow_dataset()
            found = dataset.count_rows(filter=identity.expression(DATA))
        if not found:
            break
        try:
            keepers.desk.remove(identity.predicate(DATA), {"kind": "erase"})
            break
        except Fenced:
            # The stream may have added rows first; a newer job is found out by `renew`.
            if failures == _TRIES_MAX:
                raise
            around.stop.wait(_BACKOFF.delay_seconds(failures, dice))


def _record(keepers: Keepers, plan: ErasePlan, around: Surroundings, note: str) -> datetime:
    partition = plan.identity.partition
    row = {
        "dlq_id": plan.dlq_id,
        "topic": partition.topic,
        "topic_id": partition.topic_id,
        "partition": partition.partition,
        "offset": plan.identity.offset,
    }
    shape = pa.schema([records.ACTION.field(name) for name in row])
    at = datetime.fromtimestamp(around.clock.now(), UTC)
    letter = pa.RecordBatch.from_pylist([row], schema=shape)
    deed = Deed("erased", keepers.tables.data, None, note)
    keepers.ledger.append(action_rows(letter, deed, around.doer, at))
    return at


def _erased_at(keepers: Keepers, dlq_id: str) -> datetime | None:
    done = [row["at"] for row in _actions(keepers, dlq_id) if row["note"] == _DONE]
    return max(done, default=None)


def _actions(keepers: Keepers, dlq_id: str) -> list[dict[str, Any]]:
    """What was done to erase the event so far."""
    ledger = open_ledger(keepers.tables)
    if ledger is None:
        return []
    wanted = (text_column("dlq_id") == pa.scalar(dlq_id)) & (text_column("action") == "erased")
    with mapped(ledger.uri, "reading"):
        rows = ledger.table.to_pyarrow_dataset().to_table(columns=["at", "note"], filter=wanted)
    return list(rows.to_pylist())
