"""Two writers on one table, for each adapter of the sink ports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
from deltalake import DeltaTable

from stream_processor.config.pipeline import StorageConfig
from stream_processor.ports import DeadLetterSink, Decisions, Partition, Sink
from stream_processor.runtime.object_store import delta_storage_options, open_store
from stream_processor.schema import records
from stream_processor.sinks.dead_letters import DeltaDeadLetters
from stream_processor.sinks.delta import DeltaSink
from stream_processor.sinks.delta_create import TableSpec
from stream_processor.sinks.delta_table import FencedTable
from stream_processor.sinks.memory import MemoryDeadLetters, MemorySink, MemoryTable

P0 = Partition("orders", "topic-id-1", 0)
P1 = Partition("orders", "topic-id-1", 1)

ROWS = pa.schema(
    [
        pa.field("order_id", pa.string()),
        pa.field(records.KAFKA_TOPIC, pa.string()),
        pa.field(records.KAFKA_TOPIC_ID, pa.string()),
        pa.field(records.KAFKA_PARTITION, pa.int32()),
        pa.field(records.KAFKA_OFFSET, pa.int64()),
    ]
)


def rows(partition: Partition, *offsets: int) -> pa.RecordBatch:
    """Valid rows of one partition."""
    made = [
        {
            "order_id": f"O-{offset}",
            records.KAFKA_TOPIC: partition.topic,
            records.KAFKA_TOPIC_ID: partition.topic_id,
            records.KAFKA_PARTITION: partition.partition,
            records.KAFKA_OFFSET: offset,
        }
        for offset in offsets
    ]
    return pa.RecordBatch.from_pylist(made, schema=ROWS)


def dead(partition: Partition, *offsets: int) -> pa.RecordBatch:
    """Dead letters of one partition, with their coordinates only."""
    made = [
        {
            "topic": partition.topic,
            "topic_id": partition.topic_id,
            "partition": partition.partition,
            "offset": offset,
            "stage": "parse",
            "code": "json.syntax",
        }
        for offset in offsets
    ]
    return pa.RecordBatch.from_pylist(made, schema=records.DEAD_LETTER)


@dataclass(frozen=True)
class Tables:
    """A data table and its dead letters, on which any number of writers can be opened."""

    sink: Callable[[], Sink]
    dead_letters: Callable[[], DeadLetterSink]
    stored: Callable[[], list[tuple[int, int]]]


def memory_tables() -> Tables:
    """Both tables in memory."""
    data, letters = MemoryTable(), MemoryTable()
    return Tables(
        sink=lambda: MemorySink(data),
        dead_letters=lambda: MemoryDeadLetters(letters),
        stored=lambda: sorted(
            (row[records.KAFKA_PARTITION], row[records.KAFKA_OFFSET]) for row in data.rows()
        ),
    )


def delta_tables(
    uri: str, storage: StorageConfig | None = None, decisions: Decisions | None = None
) -> Tables:
    """Both tables below `uri`, a folder or `s3://bucket/prefix`."""
    storage = storage or StorageConfig()
    options = delta_storage_options(storage)

    def table(name: str, schema: pa.Schema) -> FencedTable:
        spec = TableSpec(f"{uri}/{name}", schema, "pipe", options=options)
        return FencedTable(
            spec, open_store(spec.uri, storage), name=name, decisions=decisions or Decisions()
        )

    def stored() -> list[tuple[int, int]]:
        found = DeltaTable(f"{uri}/data", storage_options=options).to_pyarrow_table()
        return sorted(
            zip(
                found[records.KAFKA_PARTITION].to_pylist(),
                found[records.KAFKA_OFFSET].to_pylist(),
                strict=True,
            )
        )

    return Tables(
        sink=lambda: DeltaSink(table("data", ROWS)),
        dead_letters=lambda: DeltaDeadLetters(table("dead_letters", records.DEAD_LETTER)),
        stored=stored,
    )
