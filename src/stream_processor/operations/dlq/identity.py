"""One event by its place in Kafka (records.md, 1), and how each table and query calls it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from stream_processor.ports import Partition
from stream_processor.schema.text_column import text_column
from stream_processor.sinks import delta_predicates as sql
from stream_processor.sinks.delta_predicates import Predicate

IDENTITY = ("topic", "topic_id", "partition", "offset")
DATA, LETTERS = "_kafka_", ""
"""What stands before the names of the coordinates in the two tables."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The event at `offset` of one incarnation of a partition."""

    partition: Partition
    offset: int

    def __str__(self) -> str:
        return f"{self.partition} at {self.offset}"

    def dlq_id(self, pipeline_id: str) -> str:
        """The id that its dead letter has, if it is one."""
        topic, number = self.partition.key
        text = f"{pipeline_id}\0{topic}\0{number}\0{self.offset}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def columns(self, prefix: str) -> tuple[str, ...]:
        """The names of the coordinates in a table."""
        return tuple(f"{prefix}{name}" for name in IDENTITY)

    def predicate(self, prefix: str) -> Predicate:
        """For the Delta library."""
        return offsets_of(self.partition, self.offset, self.offset, prefix)

    def expression(self, prefix: str) -> pc.Expression:
        """For Arrow; it means the same rows."""
        names = self.columns(prefix)
        topic, topic_id = map(text_column, names[:2])
        partition, offset = map(pc.field, names[2:])
        place = (partition == pa.scalar(self.partition.partition, pa.int32())) & (
            offset == pa.scalar(self.offset, pa.int64())
        )
        if self.partition.topic_id is None:
            return place & topic_id.is_null() & (topic == pa.scalar(self.partition.topic))
        return place & (topic_id == pa.scalar(self.partition.topic_id))

    def rows(self, table: pa.Table, prefix: str) -> pa.ChunkedArray:
        """Which rows of a table in memory are this event; true or false, never null."""
        topic, topic_id, partition, offset = self.columns(prefix)
        name = pc.coalesce(table[topic_id].cast(pa.string()), table[topic].cast(pa.string()))
        wanted, number = self.partition.key
        found = pc.and_(pc.equal(name, wanted), pc.equal(table[partition], number))
        found = pc.and_(found, pc.equal(table[offset], self.offset))
        return pc.fill_null(found, False)  # noqa: FBT003 - the value to fill with


def offsets_of(partition: Partition, first: int, last: int, prefix: str) -> Predicate:
    """The events of one partition from the first offset to the last, for the Delta library."""
    topic, topic_id, number, offset = (f"{prefix}{name}" for name in IDENTITY)
    who = [sql.is_text(topic_id, partition.topic_id)]
    if partition.topic_id is None:
        who.append(sql.is_text(topic, partition.topic))
    place = [sql.is_number(number, partition.partition), sql.between(offset, first, last)]
    return sql.all_of([*who, *place])
