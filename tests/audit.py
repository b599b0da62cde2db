"""An audit of finished runs that shares no code with the product, `verify` included.

It reads the live Parquet files of both tables and of the ledger with pyarrow and the numbers from
the log's `txn` entries, by the formats of docs/explanation/commit-protocol.md, and checks for each
partition:

- no offset is twice in one table, and none is in both unless the ledger says `replayed`;
- nothing is in the data table outside [start, h), nor in the dead letters outside [start, their h);
- h - start = distinct offsets of [start, h) that are in either table, or in the ledger as
  `replayed`, `purged` or `erased`, + holes + skipped + expired;
- what the producer says it sent is there exactly once, or was purged or erased by someone who said
  so; and dead letters hold the very bytes.

    audit(Tables("orders", "s3://b/orders", "s3://b/orders__dlq", storage), expected)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable
from pyarrow import fs

EXAMPLES = 5
COUNTERS = ("holes", "skipped", "expired")
ACCOUNTED = ("replayed", "purged", "erased")  # actions after which a record may be in no table
HEAD_BYTES = 64 * 1024  # what is kept of a value that is too large


class At(NamedTuple):
    """A partition as the tables know it: the topic's id (its name where it has none), number."""

    topic: str
    partition: int


class Sent(NamedTuple):
    """The bytes of one event, as given to the producer."""

    key: bytes | None
    value: bytes | None


Expected = Mapping[At, Mapping[int, Sent | None]]
"""What was produced and committed, by partition and offset; None where only the offset is known."""


@dataclass(frozen=True)
class Tables:
    """Where a pipeline wrote."""

    pipeline: str
    data: str
    dead: str
    storage: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Account:
    """One partition, settled. `replayed` are in both tables, `gone` in the ledger alone."""

    start: int
    upto: int
    rows: int
    dead: int
    holes: int
    skipped: int
    expired: int
    replayed: int = 0
    gone: int = 0


_Offsets = Mapping[At, np.ndarray]
_NOTHING = np.array([], dtype=np.int64)


@dataclass(frozen=True)
class _Side:
    """One table: its handle, its identities by partition, and all columns that were read."""

    table: DeltaTable
    rows: pa.Table
    offsets: _Offsets

    def number(self, tables: Tables, at: At, suffix: str = "") -> int | None:
        name = f"{tables.pipeline}/{at.topic}/{at.partition}{suffix}"
        return self.table.transaction_version(name)


def audit(
    tables: Tables, expected: Expected | None = None, partitions: Collection[At] = ()
) -> dict[At, Account]:
    """Check everything above; raises AssertionError that lists all findings.

    Partitions are those with rows, those of `expected` and those named.
    """
    data = _read(tables.data, tables.storage, "_kafka_", ())
    dead = _read(tables.dead, tables.storage, "", ("key", "value", "value_truncated"))
    ledger = _ledger(tables)
    known = {*data.offsets, *dead.offsets, *(expected or {}), *partitions}
    accounts: dict[At, Account] = {}
    findings: list[str] = []
    for at in sorted(known):
        on_record = {action: found.get(at, _NOTHING) for action, found in ledger.items()}
        accounts[at] = _account(tables, at, (data, dead), on_record, findings)
        if expected is not None and at in expected:
            allowed = np.concatenate([on_record["purged"], on_record["erased"]])
            findings += _missing(at, expected[at], (data, dead), allowed)
    if expected is not None:
        findings += _altered(expected, dead)
    assert not findings, f"audit of {tables.data}:\n  " + "\n  ".join(findings)
    return accounts


def _account(
    tables: Tables,
    at: At,
    sides: tuple[_Side, _Side],
    on_record: Mapping[str, np.ndarray],
    findings: list[str],
) -> Account:
    data, dead = sides
    rows, letters = data.offsets.get(at, _NOTHING), dead.offsets.get(at, _NOTHING)
    h, start = data.number(tables, at), data.number(tables, at, "#start")
    if h is None or start is None:
        findings.append(f"{at}: the data table has no offset or no start, but rows or events exist")
        return Account(0, 0, len(rows), len(letters), 0, 0, 0)
    h_dead = max(h, dead.number(tables, at) or 0)
    counted = {name: data.number(tables, at, f"#{name}") or 0 for name in COUNTERS}
    both, stored = np.intersect1d(rows, letters), np.union1d(rows, letters)
    unexcused = np.setdiff1d(both, on_record["replayed"])
    gone = _inside(np.concatenate([*on_record.values()]), start, h)
    gone = np.setdiff1d(gone, stored)
    findings += [
        f"{at}: {what} {_some(offsets)}"
        for what, offsets in (
            ("twice in the data table:", _repeated(rows)),
            ("twice in the dead letters:", _repeated(letters)),
            ("in both tables:", unexcused),
            (f"in the data table outside [{start}, {h}):", _outside(rows, start, h)),
            (f"in the dead letters outside [{start}, {h_dead}):", _outside(letters, start, h_dead)),
        )
        if len(offsets)
    ]
    there = len(_inside(stored, start, h)) + len(gone)
    if h - start != there + sum(counted.values()):
        findings.append(
            f"{at}: [{start}, {h}) has {h - start} offsets, but {there} are in the tables or the "
            f"ledger and {counted} are counted: {h - start - there - sum(counted.values())} "
            "unaccounted for"
        )
    replayed = len(both) - len(unexcused)
    return Account(start, h, len(rows), len(letters), **counted, replayed=replayed, gone=len(gone))


def _missing(
    at: At, sent: Mapping[int, Sent | None], sides: tuple[_Side, _Side], removed: np.ndarray
) -> list[str]:
    """What the producer sent and no table has, and what a table has that nobody sent."""
    data, dead = sides
    there = np.union1d(data.offsets.get(at, _NOTHING), dead.offsets.get(at, _NOTHING))
    produced = np.fromiter(sent, dtype=np.int64, count=len(sent))
    lost = np.setdiff1d(np.setdiff1d(produced, there), removed)
    invented = np.setdiff1d(there, produced)
    return [
        f"{at}: {what} {_some(offsets)}"
        for what, offsets in (
            ("produced, but in no table:", lost),
            ("in a table, but never produced:", invented),
        )
        if len(offsets)
    ]


def _altered(expected: Expected, dead: _Side) -> list[str]:
    """Dead letters whose key or value is not what was sent."""
    findings = []
    for row in dead.rows.to_pylist():
        at = At(row["topic_id"] or row["topic"], row["partition"])
        sent = expected.get(at, {}).get(row["offset"])
        if sent is None:
            continue
        value = sent.value
        if row["value_truncated"] and value is not None:
            value = value[:HEAD_BYTES]
        if (row["key"], row["value"]) != (sent.key, value):
            findings.append(f"{at}: dead letter {row['offset']} holds other bytes than were sent")
    return findings


def _read(uri: str, storage: Mapping[str, str], prefix: str, more: tuple[str, ...]) -> _Side:
    options = dict(storage)
    table = DeltaTable(uri, storage_options=options)
    columns = [*(f"{prefix}{name}" for name in ("topic", "topic_id", "partition", "offset")), *more]
    rows = _parquet(table.file_uris(), options, columns)
    return _Side(table, rows, _by_partition(rows, prefix))


def _ledger(tables: Tables) -> Mapping[str, _Offsets]:
    """The offsets that people moved or removed, by action; nothing where nobody has acted yet."""
    uri, options = f"{tables.dead}_actions", dict(tables.storage)
    if not DeltaTable.is_deltatable(uri, storage_options=options):
        return {action: {} for action in ACCOUNTED}
    columns = ["topic", "topic_id", "partition", "offset", "action"]
    rows = _parquet(DeltaTable(uri, storage_options=options).file_uris(), options, columns)
    return {
        action: _by_partition(rows.filter(pc.equal(rows["action"], action)), "")
        for action in ACCOUNTED
    }


def _by_partition(rows: pa.Table, prefix: str) -> _Offsets:
    topics = pc.coalesce(rows[f"{prefix}topic_id"], rows[f"{prefix}topic"]).to_numpy()
    numbers, offsets = rows[f"{prefix}partition"].to_numpy(), rows[f"{prefix}offset"].to_numpy()
    return {
        At(topic, number): np.sort(offsets[(topics == topic) & (numbers == number)])
        for topic, number in {*zip(topics.tolist(), numbers.tolist(), strict=True)}
    }


def _parquet(uris: list[str], options: Mapping[str, str], columns: list[str]) -> pa.Table:
    """The columns of all live files, without the Delta library's own reader."""
    schema = pa.schema([(name, _TYPES.get(name, pa.string())) for name in columns])
    if not uris:
        return schema.empty_table()
    if not uris[0].startswith("s3://"):
        paths = [unquote(uri) for uri in uris]
        return ds.dataset(paths, schema, format="parquet").to_table()
    endpoint = urlsplit(options["AWS_ENDPOINT_URL"])
    store = fs.S3FileSystem(
        access_key=options["AWS_ACCESS_KEY_ID"],
        secret_key=options["AWS_SECRET_ACCESS_KEY"],
        region=options.get("AWS_REGION", "us-east-1"),
        scheme=endpoint.scheme,
        endpoint_override=endpoint.netloc,
    )
    paths = [uri.removeprefix("s3://") for uri in uris]
    return ds.dataset(paths, schema, filesystem=store, format="parquet").to_table()


_TYPES = {
    "partition": pa.int32(),
    "offset": pa.int64(),
    "_kafka_partition": pa.int32(),
    "_kafka_offset": pa.int64(),
    "key": pa.binary(),
    "value": pa.binary(),
    "value_truncated": pa.bool_(),
}


def _repeated(offsets: np.ndarray) -> np.ndarray:
    values, counts = np.unique(offsets, return_counts=True)
    return values[counts > 1]


def _outside(offsets: np.ndarray, start: int, end: int) -> np.ndarray:
    return offsets[(offsets < start) | (offsets >= end)]


def _inside(offsets: np.ndarray, start: int, end: int) -> np.ndarray:
    return offsets[(offsets >= start) & (offsets < end)]


def _some(offsets: np.ndarray) -> str:
    shown = ", ".join(str(offset) for offset in offsets[:EXAMPLES].tolist())
    return f"{shown} and {len(offsets) - EXAMPLES} more" if len(offsets) > EXAMPLES else shown
