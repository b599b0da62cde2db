"""What is the case with each dead letter: its newest ledger row, else `open` (records.md, 6)."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from stream_processor.operations.snapshots import Snapshot
from stream_processor.sinks.delta_errors import mapped

_OPEN_ACTIONS = ("failed_again", "reopened")
_COLUMNS = ["dlq_id", "action", "at", "action_id"]


class Statuses:
    """The status of every dead letter, as the ledger says at one version.

    Made by `statuses_of`. Memory: some 60 bytes for each dead letter that was ever acted on.
    """

    def __init__(self, newest: pa.Table) -> None:
        self._newest = newest

    def __len__(self) -> int:
        return int(self._newest.num_rows)

    @property
    def newest(self) -> pa.Table:
        """`dlq_id`, `action`, `at` of the newest action of every dead letter that has one."""
        return self._newest

    def of(self, dlq_ids: pa.Array) -> pa.Array:
        """The status of each of these records, in their order; one of `selection.STATUSES`."""
        if not len(self):
            return pa.array(["open"]).take(pa.array([0] * len(dlq_ids), pa.int64()))
        places = pc.index_in(dlq_ids, value_set=self._newest["dlq_id"])
        actions = self._newest["action"].combine_chunks().take(places)
        is_open = pc.is_in(actions, value_set=pa.array(_OPEN_ACTIONS))
        return pc.if_else(is_open, "open", actions.fill_null("open"))


def statuses_of(ledger: Snapshot | None) -> Statuses:
    """Read the ledger once. Open it after the dead letters. Raises `Unavailable`."""
    if ledger is None:
        return Statuses(_nothing())
    with mapped(ledger.uri, "reading"):
        rows = ledger.table.to_pyarrow_dataset().to_table(columns=_COLUMNS)
    ordered = rows.sort_by([("at", "ascending"), ("action_id", "ascending")])
    newest = ordered.group_by("dlq_id", use_threads=False).aggregate(
        [("action", "last"), ("at", "last")]
    )
    return Statuses(newest.rename_columns({"action_last": "action", "at_last": "at"}))


def _nothing() -> pa.Table:
    shape = [("dlq_id", pa.string()), ("action", pa.string()), ("at", pa.timestamp("us", "UTC"))]
    return pa.schema(shape).empty_table()
