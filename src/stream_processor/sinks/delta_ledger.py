"""The ledger `<table>__dlq_actions`: what was done with dead letters, one row each, append only.

A replay writes first and then says so here, so the ledger remembers the newest step of the desk
(`sinks.delta_desk`) that it names: one whose actions are missing after a crash is known by that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable

from stream_processor.errors import Fenced
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
from stream_processor.sinks.delta_desk import LastWrite, named_id
from stream_processor.sinks.delta_evolve import refuse_missing_columns
from stream_processor.sinks.delta_rules import refuse_rules, rules_of

_TRIES_MAX = 5


class Ledger:
    """Appends actions. Made by `operations.assemble`; used by one thread at a time.

    Every append loads the head first: rows of the ledger never depend on one another.
    """

    def __init__(self, spec: TableSpec, store: ObjectStore) -> None:
        self.spec = spec
        self._store = store

    def names(self, step: LastWrite) -> bool:
        """Whether all that the step did is in the ledger."""
        table = load(self.spec)
        if table is None:
            return False
        txns = delta_log.transactions(self._store, table.version())
        return txns.get(named_id(self.spec.pipeline_id, step.table_id), 0) >= step.number

    def append(self, actions: pa.Table) -> None:
        """Write these actions, shaped as `records.ACTION`, in one commit; makes the table at need.

        Raises `Unavailable`, `Fenced`, `TableRefused`.
        """
        commit(self.spec.uri, self._open(), actions, {}, {"kind": "actions"})

    def record(self, actions: pa.Table, step: LastWrite, note: Mapping[str, Any]) -> None:
        """The same for all that this step did, which the ledger names from now on.

        Nothing is lost when it is done twice, as the newest row of a dead letter counts: so when an
        older job, which has lost the desk, says its last word at this moment, it is tried again.
        """
        txns = {named_id(self.spec.pipeline_id, step.table_id): step.number}
        for tries in range(1, _TRIES_MAX + 1):
            try:
                commit(self.spec.uri, self._open(), actions, txns, {"kind": "actions", **note})
            except Fenced:
                if tries == _TRIES_MAX:
                    raise
            else:
                return

    def report(self, note: Mapping[str, Any]) -> None:
        """Leave what a job did as a whole in the log of the ledger, in a commit without rows."""
        commit(self.spec.uri, self._open(), None, {}, {"kind": "report", **note})

    def _open(self) -> DeltaTable:
        table = load(self.spec)
        if table is None:
            table = create(self.spec, self._store)
        refuse_unless_writable(self.spec, table)
        refuse_missing_columns(self.spec, table)
        refuse_rules(self.spec.uri, rules_of(self.spec.uri, table))
        if owner(table) is None:
            if not is_empty(table):
                raise ownerless(self.spec)
            own(self.spec, table)
        return table
