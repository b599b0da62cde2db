"""One Delta table whose rows and offsets are committed together, held against every other writer.

The heart of the commit protocol (docs/explanation/commit-protocol.md): a write on a held handle,
with the `txn` ids of all owned partitions, succeeds if and only if nobody has committed anything
for them since the handle's version. So the handle is the lock, and never refreshed in place.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable

from stream_processor.errors import (
    Fenced,
    InternalError,
    TableReplaced,
    TableRewound,
)
from stream_processor.ports import (
    Decisions,
    KillPoint,
    Memory,
    ObjectStore,
    Partition,
    Position,
    never,
)
from stream_processor.sinks import delta_foreign, delta_ids, delta_log
from stream_processor.sinks.delta_chain import OwnCommit, overwriter, refuse_overwritten
from stream_processor.sinks.delta_commit import commit
from stream_processor.sinks.delta_create import (
    TableSpec,
    create,
    is_empty,
    load,
    load_at,
    own,
    owner,
    ownerless,
    refuse_unless_writable,
)
from stream_processor.sinks.delta_evolve import add_columns, missing_columns
from stream_processor.sinks.delta_restore import restored_version
from stream_processor.sinks.delta_rules import TableRules, rules_of

# A handle of the library keeps 0.1 MiB of every commit made on it, as long as it lives.
_COMMITS_PER_HANDLE = 20


class FencedTable:
    """A table, the version of our last own commit on it (the base), and what we own there.

    `name` prefixes the kill points; `on_commit` is told how many seconds each batch's commit took.

    State: the base handle, what it remembered, the owned positions. Used by one thread at a time.
    """

    def __init__(
        self,
        spec: TableSpec,
        store: ObjectStore,
        *,
        name: str,
        decisions: Decisions,
        kill_point: KillPoint = never,
        on_commit: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.spec = spec
        self.name = name
        self._store = store
        self._decisions = decisions
        self._kill_point = kill_point
        self._on_commit = on_commit
        self._writer_id = uuid.uuid4().hex
        self.rules = TableRules(spec.schema)
        self._table_id: str | None = None
        self._last: OwnCommit | None = None
        self._foreign: delta_foreign.Seen = {}
        self._base: DeltaTable | None = None
        self._commits_on_base = 0
        self._owned: dict[Partition, Position] = {}
        self._memory = Memory({})
        self._moved: Mapping[tuple[str, int], Position] = {}

    @property
    def base(self) -> DeltaTable:
        """The handle of the last fence or own commit. Raises `InternalError` before a claim."""
        if self._base is None:
            raise InternalError(f"{self.name}: written before it was claimed")
        return self._base

    def remembered(self) -> Memory:
        """Load the head; the base of the next claim [A1]. See `ports.Sink.remembered`."""
        self._owned = {}
        self._base = None
        self._moved = {}  # what an earlier look found may have been claimed by another since
        table = self._open()
        txns = delta_log.transactions(self._store, table.version())
        refuse_unless_writable(self.spec, table)
        if owner(table) is None:
            self._take_ownership(table, txns)
        self._pin(table)
        self.rules = rules_of(self.spec.uri, table)
        if self._last is not None:
            refuse_overwritten(self.spec.uri, self._store, self._last)
        memory = delta_ids.read(self.spec.pipeline_id, txns)
        restored = restored_version(self._store, table.version())
        if restored is not None:
            memory = self._rewound(memory, restored)
        self._met(delta_foreign.looked_back(self._store, table.version()))
        self._hold(table)
        self._memory = memory
        return memory

    def claim(
        self, owned: Collection[Partition], anchors: Mapping[Partition, Position]
    ) -> Mapping[Partition, Position]:
        """Fence: a commit without rows that bumps the epoch of every owned partition [A1, A2]."""
        claimed = {p: self._next_epoch(p, anchors) for p in owned}
        txns: dict[str, int] = {}
        for key, position in self._moved.items():
            txns |= delta_ids.changes(self.spec.pipeline_id, key, position, None)
        for partition, position in {**anchors, **claimed}.items():
            known = None if partition in anchors else self._memory.positions[partition.key]
            txns |= delta_ids.changes(self.spec.pipeline_id, partition.key, position, known)
            txns |= delta_ids.topic_txn(self.spec.pipeline_id, partition, self._memory)
        self._kill_point(f"{self.name}.before_claim")
        self._commit(None, txns, {"kind": "claim"})
        self._owned = claimed
        self._moved = {}
        self._kill_point(f"{self.name}.after_claim")
        self._evolve()
        return dict(claimed)

    def recheck(self) -> None:
        """Raise `Fenced` when anyone has claimed a partition of ours since our fence [A3]."""
        ours = {
            f"{delta_ids.app(self.spec.pipeline_id, partition.key)}#epoch": position.epoch
            for partition, position in self._owned.items()
        }
        for newer in delta_log.commits_between(self._store, self.base.version()):
            if any(newer.txns.get(name, epoch) != epoch for name, epoch in ours.items()):
                raise Fenced(
                    f"another process claimed the same partitions of {self.spec.uri}",
                    hint="it takes turns by itself; two processes that are given the same "
                    "partitions by hand would do this for ever",
                )
        self._kill_point(f"{self.name}.rechecked")

    def append(
        self, rows: pa.Table | None, positions: Mapping[Partition, Position], note: dict[str, Any]
    ) -> None:
        """One commit: rows and the new positions, naming every owned partition [B0, B3, B4]."""
        unknown = positions.keys() - self._owned.keys()
        if unknown:
            raise InternalError(
                f"{self.name}: a batch for partitions that are not owned: {unknown}"
            )
        after = self._owned | dict(positions)
        txns: dict[str, int] = {}
        for partition, position in after.items():
            before = self._owned[partition]
            txns |= delta_ids.changes(self.spec.pipeline_id, partition.key, position, before)
        self._kill_point(f"{self.name}.before_commit")
        started = time.monotonic()
        self._renew_base()
        self._commit(rows, txns, {"kind": "batch", **note})
        self._on_commit(time.monotonic() - started)
        self._owned = after
        self._kill_point(f"{self.name}.after_commit")

    def owned(self) -> Mapping[Partition, Position]:
        """What we own, at the positions of the base."""
        return dict(self._owned)

    def close(self) -> None:
        """Drop the handle."""
        self._base = None
        self._owned = {}

    def _open(self) -> DeltaTable:
        table = load(self.spec)
        if table is not None:
            return table
        if self._table_id is not None:
            raise TableReplaced(
                f"{self.spec.uri} was there and is gone",
                hint="restore it, or begin again as at a first start with `run --reset`",
            )
        return create(self.spec, self._store)

    def _take_ownership(self, table: DeltaTable, txns: Mapping[str, int]) -> None:
        if not self._decisions.adopt and (txns or not is_empty(table)):
            raise ownerless(self.spec)
        own(self.spec, table)

    def _pin(self, table: DeltaTable) -> None:
        found = str(table.metadata().id)
        if self._table_id not in (None, found):
            raise TableReplaced(
                f"{self.spec.uri} is another table than before (dropped and made again)",
                hint="`run --reset` begins in the new table as at a first start",
            )
        self._table_id = found

    def _rewound(self, memory: Memory, restored: int) -> Memory:
        """What the table remembered at the version it was restored to, with today's epochs."""
        if not self._decisions.accept_rewind:
            raise TableRewound(
                f"{self.spec.uri} was restored to version {restored}: its rows went back, "
                "its offsets did not",
                hint="`run --accept-rewind` reads again from where the table stood then",
            )
        then = delta_ids.read(
            self.spec.pipeline_id, delta_log.transactions(self._store, restored)
        ).positions
        # What the table did not know then, it holds no row of: from its beginning.
        self._moved = {
            key: replace(then.get(key, Position(now.start, start=now.start)), epoch=now.epoch)
            for key, now in memory.positions.items()
        }
        return Memory({**memory.positions, **self._moved}, memory.topics, rewound=True)

    def _renew_base(self) -> None:
        """Now and then a new handle on the very version of the old one: it is the same lock."""
        if self._commits_on_base >= _COMMITS_PER_HANDLE:
            table = load_at(self.spec, self.base.version())
            self._pin(table)
            self._hold(table)

    def _hold(self, table: DeltaTable) -> None:
        self._base = table
        self._commits_on_base = 0

    def _evolve(self) -> None:
        """Columns that the schema file has and the table has not are added by who claimed it."""
        missing = missing_columns(self.spec, self.base)
        if missing.names:
            txns: dict[str, int] = {}
            for partition, position in self._owned.items():
                txns |= delta_ids.changes(self.spec.pipeline_id, partition.key, position, position)
            self._linked(
                lambda note: add_columns(self.spec.uri, self.base, missing, txns, note), {}
            )
            self._kill_point(f"{self.name}.after_columns")

    def _next_epoch(self, partition: Partition, anchors: Mapping[Partition, Position]) -> Position:
        known = self._memory.positions.get(partition.key)
        position = anchors.get(partition) or known
        if position is None:
            raise Fenced(f"{partition} appeared while it was looked at")
        return replace(position, epoch=(known or position).epoch + 1)

    def _commit(
        self, rows: pa.Table | None, txns: Mapping[str, int], note: Mapping[str, Any]
    ) -> None:
        self._commits_on_base += 1
        self._linked(lambda told: commit(self.spec.uri, self.base, rows, txns, told), note)

    def _linked(self, act: Callable[[dict[str, Any]], None], note: Mapping[str, Any]) -> None:
        """Make one commit that names the one before it, which must still be ours."""
        if self._last is not None and overwriter(self._store, self._last) is not None:
            raise Fenced(f"our newest log entry in {self.spec.uri} is not ours any more")
        batch = uuid.uuid4().hex
        before = self._last.named() if self._last is not None else {}
        carried = delta_foreign.noted(self._foreign)
        version = int(self.base.version())
        act({"writer": self._writer_id, "batch": batch, **before, **carried, **note})
        self._last = OwnCommit(int(self.base.version()), batch)
        if self._last.version > version + 1:
            self._met(delta_foreign.between(self._store, version, self._last.version))

    def _met(self, others: delta_foreign.Seen) -> None:
        """Remember which other engines write to the table, for `status`."""
        self._foreign = delta_foreign.merged(self._foreign, others, int(time.time() * 1000))
