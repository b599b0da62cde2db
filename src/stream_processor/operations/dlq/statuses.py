"""What is the case with each dead letter: its newest ledger row, else `open` (records.md, 6)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from stream_processor.operations.dlq.ids import IdIndex, Places, keys_of
from stream_processor.operations.snapshots import Snapshot
from stream_processor.schema.types import TIMESTAMP
from stream_processor.sinks.delta_errors import mapped

_OPEN_ACTIONS = ("failed_again", "reopened")
_COLUMNS = ["dlq_id", "action", "at"]


class Statuses:
    """The status of every dead letter, as the ledger says at one version.

    Made by `statuses_of`. Memory: some 100 bytes for each dead letter that was ever acted on.
    """

    def __init__(self, newest: pa.Table) -> None:
        """`newest` has `dlq_id`, `action`, `at` of the newest action of every dead letter."""
        self._newest = newest
        ids, actions, at = (_whole(newest[name]) for name in _COLUMNS)
        is_open = pc.is_in(actions, value_set=pa.array(_OPEN_ACTIONS))
        # One more than there are rows: the last stands for a dead letter without any action.
        self._statuses = pa.concat_arrays(
            [pc.if_else(is_open, "open", actions.cast(pa.string())), pa.array(["open"])]
        ).dictionary_encode()
        self._at = pa.concat_arrays([at, pa.nulls(1, at.type)])
        self._index = IdIndex(ids)

    def __len__(self) -> int:
        return len(self._statuses) - 1

    @property
    def newest(self) -> pa.Table:
        """`dlq_id`, `action`, `at` of the newest action of every dead letter that has one."""
        return self._newest.cast(_SHAPE)

    def of(self, dlq_ids: pa.Array) -> pa.Array:
        """The status of each of these records, in their order; one of `selection.STATUSES`."""
        return self.named(self.places(dlq_ids)).cast(pa.string())

    def places(self, dlq_ids: pa.Array) -> Places:
        """Which newest action each of these records has; -1 where it was never acted on."""
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
        return Statuses(_SHAPE.empty_table())
    with mapped(ledger.uri, "reading"):
        dataset = ledger.table.to_pyarrow_dataset(
            parquet_read_options=ds.ParquetReadOptions(dictionary_columns={"action"})
        )
        rows = dataset.to_table(columns=_COLUMNS).combine_chunks()
    return Statuses(_newest(rows))


def _newest(rows: pa.Table) -> pa.Table:
    """The newest action of each record; of several at one time, the last by its name.

    Most records have one action, so only those with several are put in order: sorting a ledger of
    two million rows whole took seven seconds and a gigabyte.
    """
    ids = _whole(rows["dlq_id"])
    keys = keys_of(ids)
    if keys is None:
        return _newest_of_each(rows)
    order = np.argsort(keys)
    same = keys[order[1:]] == keys[order[:-1]]
    if not same.any():
        return rows
    several = np.zeros(len(keys), dtype=np.bool_)
    several[order[1:][same]] = several[order[:-1][same]] = True
    once = rows.filter(pa.array(~several))
    return pa.concat_tables([once, _newest_of_each(rows.filter(pa.array(several)))])


def _newest_of_each(rows: pa.Table) -> pa.Table:
    plain = rows.cast(_SHAPE)
    ordered = plain.sort_by([("at", "ascending"), ("action", "ascending")])
    newest = ordered.group_by("dlq_id", use_threads=False).aggregate(
        [("action", "last"), ("at", "last")]
    )
    found = newest.rename_columns({"action_last": "action", "at_last": "at"})
    return found.cast(_SHAPE).cast(rows.schema)


def _whole(column: pa.ChunkedArray) -> Any:
    """The column in one piece."""
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


_SHAPE = pa.schema(
    [
        pa.field("dlq_id", pa.string()),
        pa.field("action", pa.string()),
        pa.field("at", TIMESTAMP),
    ]
)
