"""An audit of finished runs that shares no code with the product, `verify` included.

It reads the live Parquet files of both tables with pyarrow and the numbers from the log's `txn`
entries, by the formats of docs/explanation/commit-protocol.md, and checks for each partition:

- no offset is twice in one table, and none is in both;
- nothing is in the data table outside [start, h), nor in the dead letters outside [start, their h);
- h - start = distinct offsets of [start, h) in either table + holes + skipped + expired;
- what the producer says it sent is there exactly once, and dead letters hold the very bytes.

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
    """One partition, settled."""

    start: int
    upto: int
    rows: int
    dead: int
    holes: int
    skipped: int
    expired: int


@dataclass(frozen=True)
class _Side:
    """One table: its handle, its identities by partition, and all columns that were read."""

    table: DeltaTable
    rows: pa.Table
    offsets: Mapping[At, np.ndarray]

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
    known = {*data.offsets, *dead.offsets, *(expected or {}), *partitions}
    accounts: dict[At, Account] = {}
    findings: list[str] = []
    for at in sorted(known):
        accounts[at] = _account(tables, at, data, dead, findings)
        if expected is not None and at in expected:
            findings += _missing(at, expected[at], data, dead)
    if expected is not None:
        findings += _altered(expected, dead)
    assert not findings, f"audit of {tables.data}:\n  " + "\n  ".join(findings)
    return accounts


def _account(tables: Tables, at: At, data: _Side, dead: _Side, findings: list[str]) -> Account:
    nothing = np.array([], dtype=np.int64)
    rows, letters = data.offsets.get(at, nothing), dead.offsets.get(at, nothing)
    h, start = data.number(tables, at), data.number(tables, at, "#start")
    if h is None or start is None:
        findings.append(f"{at}: the data table has no offset or no start, but rows or events exist")
        return Account(0, 0, len(rows), len(letters), 0, 0, 0)
    h_dead = max(h, dead.number(tables, at) or 0)
    counted = {name: data.number(tables, at, f"#{name}") or 0 for name in COUNTERS}
    account = Account(start, h, len(rows), len(letters), **counted)
    findings += [
        f"{at}: {what} {_some(offsets)}"
        for what, offsets in (
            ("twice in the data table:", _repeated(rows)),
            ("twice in the dead letters:", _repeated(letters)),
            ("in both tables:", np.intersect1d(rows, letters)),
            (f"in the data table outside [{start}, {h}):", _outside(rows, start, h)),
            (f"in the dead letters outside [{start}, {h_dead}):", _outside(letters, start, h_dead)),
        )
        if len(offsets)
    ]
    both = np.union1d(rows, letters)
    there = len(both) - len(_outside(both, start, h))
    if h - start != there + sum(counted.values()):
        findings.append(
            f"{at}: [{start}, {h}) has {h - start} offsets, but {there} are in the tables and "
            f"{counted} are counted: {h - start - there - sum(counted.values())} unaccounted for"
        )
    return account


def _missing(at: At, sent: Mapping[int, Sent | None], data: _Side, dead: _Side) -> list[str]:
    """What the producer sent and no table has, and what a table has that nobody sent."""
    nothing = np.array([], dtype=np.int64)
    there = np.union1d(data.offsets.get(at, nothing), dead.offsets.get(at, nothing))
    produced = np.fromiter(sent, dtype=np.int64, count=len(sent))
    lost, invented = np.setdiff1d(produced, there), np.setdiff1d(there, produced)
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
    topics = pc.coalesce(rows[f"{prefix}topic_id"], rows[f"{prefix}topic"]).to_numpy()
    numbers, offsets = rows[f"{prefix}partition"].to_numpy(), rows[f"{prefix}offset"].to_numpy()
    split = {
        At(topic, number): np.sort(offsets[(topics == topic) & (numbers == number)])
        for topic, number in {*zip(topics.tolist(), numbers.tolist(), strict=True)}
    }
    return _Side(table, rows, split)


def _parquet(uris: list[str], options: Mapping[str, str], columns: list[str]) -> pa.Table:
    """The columns of all live files, without the Delta library's own reader."""
    if not uris:
        return pa.table({name: pa.array([], _TYPES.get(name, pa.string())) for name in columns})
    if not uris[0].startswith("s3://"):
        paths = [unquote(uri) for uri in uris]
        return ds.dataset(paths, format="parquet").to_table(columns=columns)
    endpoint = urlsplit(options["AWS_ENDPOINT_URL"])
    store = fs.S3FileSystem(
        access_key=options["AWS_ACCESS_KEY_ID"],
        secret_key=options["AWS_SECRET_ACCESS_KEY"],
        region=options.get("AWS_REGION", "us-east-1"),
        scheme=endpoint.scheme,
        endpoint_override=endpoint.netloc,
    )
    paths = [uri.removeprefix("s3://") for uri in uris]
    return ds.dataset(paths, filesystem=store, format="parquet").to_table(columns=columns)


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


def _some(offsets: np.ndarray) -> str:
    shown = ", ".join(str(offset) for offset in offsets[:EXAMPLES].tolist())
    return f"{shown} and {len(offsets) - EXAMPLES} more" if len(offsets) > EXAMPLES else shown
