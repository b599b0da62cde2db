"""`<table>__offsets`: the offset ranges of a table's commits, kept when its log is cleaned.

It remembers in a `txn` id up to which version of which table everything is in it, written in the
same commit as the rows, so folding is exactly once whoever does it and wherever it dies (commit
protocol, a.8, rule 13).
"""

from __future__ import annotations

import pyarrow as pa
from deltalake import DeltaTable

from stream_processor.ports import ObjectStore
from stream_processor.sinks import delta_log
from stream_processor.sinks.delta_commit import commit
from stream_processor.sinks.delta_create import (
    TableSpec,
    create,
    is_empty,
    load,
    own,
    owner,
    ownerless,
    refuse_unless_writable,
)
from stream_processor.sinks.delta_evolve import refuse_missing_columns


class OffsetRanges:
    """The ranges of one table. Made by `operations.maintain`; used by one thread at a time.

    State: the handle on which it was looked how far they go; the next append is made on it.
    """

    def __init__(self, spec: TableSpec, store: ObjectStore) -> None:
        self.spec = spec
        self.store = store
        self._table: DeltaTable | None = None

    def folded_upto(self, table_id: str) -> int | None:
        """The last version of the table `table_id` that is in it; None before the first.

        Raises `TableRefused` when it is another's, and `Unavailable`.
        """
        self._table = table = load(self.spec)
        if table is None:
            return None
        refuse_unless_writable(self.spec, table)
        refuse_missing_columns(self.spec, table)
        if owner(table) is None and not is_empty(table):
            raise ownerless(self.spec)
        return delta_log.transactions(self.store, table.version()).get(self._id(table_id))

    def append(self, rows: pa.Table, table_id: str, upto: int) -> None:
        """Add these ranges, shaped as `OFFSET_RANGE`; all versions up to `upto` are in it then.

        On the snapshot of `folded_upto`, so of two that fold the same versions one gets `Fenced`.
        """
        if self._table is None:
            self._table = create(self.spec, self.store)
        if owner(self._table) is None:
            own(self.spec, self._table)
        note = {"kind": "folded", "upto": upto}
        commit(self.spec.uri, self._table, rows, {self._id(table_id): upto}, note)

    def _id(self, table_id: str) -> str:
        return f"{self.spec.pipeline_id}/#folded@{table_id}"
