"""A second, obvious writer: it puts into the tables exactly what a test says, right or wrong."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from stream_processor.operations.snapshots import Tables
from stream_processor.operations.verify import verify
from stream_processor.operations.verify_report import VerifyReport

ORDERS = "b3JkZXJzLW9yZGVycy0xMQ"
PIPELINE = "orders"

DATA = pa.schema(
    [
        ("order_id", pa.string()),
        ("_kafka_topic", pa.string()),
        ("_kafka_topic_id", pa.string()),
        ("_kafka_partition", pa.int32()),
        ("_kafka_offset", pa.int64()),
    ]
)
DEAD = pa.schema(
    [
        ("stage", pa.string()),
        ("code", pa.string()),
        ("topic", pa.string()),
        ("topic_id", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
    ]
)
LEDGER = pa.schema([*list(DEAD)[2:], pa.field("action", pa.string())])


@dataclass(frozen=True)
class Lakehouse:
    """The three tables of one pipeline in a folder or below an `s3://` address."""

    folder: str
    topic: str = "orders"
    topic_id: str | None = ORDERS
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def tables(self) -> Tables:
        return Tables(PIPELINE, f"{self.folder}/orders", f"{self.folder}/orders__dlq")

    def verify(self) -> VerifyReport:
        return verify(self.tables)

    def kinds(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for finding in self.verify().findings:
            found[finding.kind] = found.get(finding.kind, 0) + finding.count
        return found

    def data(
        self,
        offsets: Iterable[int],
        partition: int = 0,
        note: Mapping[str, object] | None = None,
        **ids: int,
    ) -> None:
        """One commit of rows; `ids` like `upto=10, start=0, holes=1` become txn entries."""
        offsets = list(offsets)
        rows = {
            "order_id": [f"o{offset}" for offset in offsets],
            "_kafka_topic": [self.topic] * len(offsets),
            "_kafka_topic_id": [self.topic_id] * len(offsets),
            "_kafka_partition": [partition] * len(offsets),
            "_kafka_offset": offsets,
        }
        table = pa.table(rows, schema=DATA)
        self.commit(self.tables.data, table, self.txns(partition, ids), note)

    def dead(
        self,
        offsets: Iterable[int],
        partition: int = 0,
        code: str = "json.syntax",
        **ids: int,
    ) -> None:
        """One commit of dead letters."""
        rows = self._coordinates(offsets, partition)
        rows |= {"stage": ["parse"] * len(rows["offset"])}
        rows |= {"code": [code] * len(rows["offset"])}
        table = pa.table(rows, schema=DEAD)
        self.commit(self.tables.dead_letters, table, self.txns(partition, ids))

    def ledger(self, offsets: Iterable[int], action: str, partition: int = 0) -> None:
        """One commit of ledger rows."""
        rows = self._coordinates(offsets, partition)
        rows |= {"action": [action] * len(rows["offset"])}
        self.commit(self.tables.ledger, pa.table(rows, schema=LEDGER), {})

    def commit(
        self,
        uri: str,
        rows: pa.Table,
        txns: Mapping[str, int],
        note: Mapping[str, object] | None = None,
    ) -> None:
        write_deltalake(
            uri,
            rows,
            mode="append",
            storage_options=dict(self.options),
            commit_properties=CommitProperties(
                app_transactions=[Transaction(name, value) for name, value in txns.items()],
                custom_metadata={"stream_processor": json.dumps(note or {})},
            ),
        )

    def txns(self, partition: int, ids: Mapping[str, int]) -> dict[str, int]:
        name = f"{PIPELINE}/{self.topic_id or self.topic}/{partition}"
        found = {f"{name}#{key}": value for key, value in ids.items() if key != "upto"}
        if "upto" in ids:
            found[name] = ids["upto"]
        if self.topic_id:
            found[f"{PIPELINE}/{self.topic_id.partition('~')[0]}#name={self.topic}"] = 1
        return found

    def open_data(self) -> DeltaTable:
        return DeltaTable(self.tables.data, storage_options=dict(self.options))

    def _coordinates(self, offsets: Iterable[int], partition: int) -> dict[str, list[object]]:
        found: list[object] = list(offsets)
        return {
            "topic": [self.topic] * len(found),
            "topic_id": [self.topic_id] * len(found),
            "partition": [partition] * len(found),
            "offset": found,
        }


@dataclass
class Kafka:
    """A `HoleReader` over a known set of offsets that are still there."""

    offsets: set[int]
    low: int
    high: int
    asked: list[tuple[int, int]] = field(default_factory=list)

    def readable(self, partition):
        return self.low, self.high

    def existing(self, partition, ranges):
        self.asked += ranges
        return (o for begin, end in ranges for o in range(begin, end) if o in self.offsets)
