"""The ledger `<table>__dlq_actions`: what was done with dead letters, one row each, append only.

Whoever moves records (replay, purge, erase) numbers its steps at the desk (`sinks.delta_desk`);
the ledger remembers the number that it has seen last under the same name, so that a step whose
ledger rows are missing after a crash is known.
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
from stream_processor.sinks.delta_desk import desk_id


class Ledger:
    """Appends actions. Made by `operations.assemble`; used by one thread at a time.

    Every append loads the head first: rows of the ledger never depend on one another.
    """

    def __init__(self, spec: TableSpec, store: ObjectStore) -> None:
        self.spec = spec
        self._store = store

    def number(self) -> int:
        """The last step of the desk whose rows are in the ledger; 0 where there is none."""
        table = load(self.spec)
        if table is None:
            return 0
        txns = delta_log.transactions(self._store, table.version())
        return txns.get(desk_id(self.spec.pipeline_id), 0)

    def append(self, actions: pa.Table, number: int | None = None) -> None:
        """Write these actions, shaped as `records.ACTION`, in one commit; makes the table at need.

        `number` is the desk's step that they record; nothing is lost when it is written twice, as
        the newest row of a dead letter counts. Raises `Unavailable`, `Fenced`, `TableRefused`.
        """
        table = self._open()
        txns = {} if number is None else {desk_id(self.spec.pipeline_id): number}
        commit(self.spec.uri, table, actions, txns, {"kind": "actions"})

    def _open(self) -> DeltaTable:
        table = load(self.spec)
        if table is None:
            table = create(self.spec)
        refuse_unless_writable(self.spec, table)
        if owner(table) is None:
            if not is_empty(table):
                raise ownerless(self.spec)
            own(self.spec, table)
        return table
