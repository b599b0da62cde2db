"""What is the case with each dead letter: its newest ledger row, else `open` (records.md, 6)."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from stream_processor.operations.dlq.ids import IdIndex, Places
from stream_processor.operations.snapshots import Snapshot
from stream_processor.sinks.delta_errors import mapped

_OPEN_ACTIONS = ("failed_again", "reopened")
_COLUMNS = ["dlq_id", "action", "at", "action_id"]


class Statuses:
    """The status of every dead letter, as the ledger says at one version.

    Made by `statuses_of`. Memory: some 100 bytes for each dead letter that was ever acted on.
    """

    def __init__(self, newest: pa.Table) -> None:
        self._newest = newest.combine_chunks()
        actions = _whole(self._newest["action"])
        is_open = pc.is_in(actions, value_set=pa.array(_OPEN_ACTIONS))
        # One more than there are rows: the last stands for a dead letter without any action.
        self._statuses = pa.concat_arrays(
            [pc.if_else(is_open, "open", actions), pa.array(["open"])]
        ).dictionary_encode()
        self._at = pa.concat_arrays(
            [_whole(self._newest["at"]), pa.nulls(1, self._newest["at"].type)]
        )
        self._index = IdIndex(_whole(self._newest["dlq_id"]))

    def __len__(self) -> int:
        return int(self._newest.num_rows)

    @property
    def newest(self) -> pa.Table:
        """`dlq_id`, `action`, `at` of the newest action of every dead letter that has one."""
        return self._newest

    def of(self, dlq_ids: pa.Array) -> pa.Array:
        """The status of each of these records, in their order; one of `selection.STATUSES`."""
        return self.named(self.places(dlq_ids)).cast(pa.string())

    def places(self, dlq_ids: pa.Array) -> Places:
        """Where in `newest` each of these records stands; -1 for one that was never acted on."""
        return self._index.places(dlq_ids)

    def named(self, places: Places) -> pa.DictionaryArray:
        """The status at each of these places."""
        return self._statuses.take(self._rows(places))

    def at(self, places: Places) -> pa.Array:
        """When the newest action was, null where there is none."""
        return self._at.take(self._rows(places))

    def _rows(self, places: Places) -> pa.Array:
        return pa.array(places % len(self._statuses))


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


def _whole(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        return pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], column.type)
    return whole


def _nothing() -> pa.Table:
    shape = [("dlq_id", pa.string()), ("action", pa.string()), ("at", pa.timestamp("us", "UTC"))]
    return pa.schema(shape).empty_table()
