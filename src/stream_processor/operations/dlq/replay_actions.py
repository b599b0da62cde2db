"""What a replay did, as rows of the ledger. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from stream_processor.operations.dlq.replay_request import Doer
from stream_processor.schema import records

_IDENTITY = ("dlq_id", "topic", "topic_id", "partition", "offset")


@dataclass(frozen=True, slots=True)
class Deed:
    """One action on some dead letters: where to, and what is noted beside it."""

    action: str
    target: str | None
    target_version: int | None
    note: str | None


def action_rows(
    letters: pa.RecordBatch, deed: Deed, doer: Doer, at: datetime, codes: pa.Array | None = None
) -> pa.Table:
    """One row per dead letter, shaped as `records.ACTION`; `codes` say why it failed again.

    The id of a row follows from the run, the record and the action, so what is written twice after
    a crash can be told.
    """
    count = letters.num_rows
    same: dict[str, object] = {
        "run_id": doer.run_id,
        "action": deed.action,
        "actor": doer.actor,
        "at": at,
        "target": deed.target,
        "target_version": deed.target_version,
        "note": deed.note,
    }
    columns: dict[str, pa.Array] = {
        name: pa.repeat(pa.scalar(value, records.ACTION.field(name).type), count)
        for name, value in same.items()
    }
    columns |= {name: letters[name] for name in _IDENTITY}
    columns["code"] = pa.nulls(count, pa.string()) if codes is None else codes
    columns["action_id"] = _ids(letters["dlq_id"], doer.run_id, deed.action)
    return pa.Table.from_arrays(
        [columns[name] for name in records.ACTION.names], schema=records.ACTION
    )


def no_actions() -> pa.Table:
    """Nothing was done with any dead letter."""
    return records.ACTION.empty_table()


def _ids(dlq_ids: pa.Array, run_id: str, action: str) -> pa.Array:
    seed = hashlib.blake2b(f"{run_id}\0{action}\0".encode(), digest_size=16)

    def of(dlq_id: str | None) -> str:
        digest = seed.copy()
        digest.update((dlq_id or "").encode())
        return digest.hexdigest()

    return pa.array([of(each) for each in dlq_ids.to_pylist()], pa.string())
