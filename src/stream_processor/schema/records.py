"""The Arrow shapes of every record that crosses a border between rooms or reaches a table.

One definition each, so that a column has one name and one type everywhere (records.md, 1, 5, 6).
"""

from __future__ import annotations

import pyarrow as pa

from stream_processor.schema.types import TIMESTAMP

_DICTIONARY = pa.dictionary(pa.int32(), pa.string())

HEADERS = pa.list_(
    pa.struct([pa.field("name", pa.string(), nullable=False), pa.field("value", pa.binary())])
)
"""Kafka headers: order and duplicates are kept."""

RAW = pa.schema(
    [
        pa.field("topic", _DICTIONARY, nullable=False),
        pa.field("topic_id", _DICTIONARY),
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("timestamp", pa.timestamp("ms", tz="UTC")),
        pa.field("timestamp_type", pa.int8(), nullable=False),
        pa.field("key", pa.binary()),
        pa.field("value", pa.binary()),
        pa.field("headers", HEADERS),
    ]
)
"""What a source yields. A null value is a tombstone, different from an empty one.

`timestamp_type`: 0 none, 1 create time, 2 log append time, or `NOT_FETCHED`.
"""

NOT_FETCHED = -1
"""The `timestamp_type` of a record of which only the offset is known: too large to be fetched.

Its other columns are null; that of its dead letter is null too.
"""

KAFKA_TOPIC = "_kafka_topic"
KAFKA_TOPIC_ID = "_kafka_topic_id"
KAFKA_PARTITION = "_kafka_partition"
KAFKA_OFFSET = "_kafka_offset"
KAFKA_TIMESTAMP = "_kafka_timestamp"
KAFKA_KEY = "_kafka_key"
KAFKA_HEADERS = "_kafka_headers"
INGESTED_AT = "_ingested_at"
RESCUED = "_rescued"

EVENT_IDENTITY = ("topic", "topic_id", "partition", "offset")
ROW_IDENTITY = (KAFKA_TOPIC, KAFKA_TOPIC_ID, KAFKA_PARTITION, KAFKA_OFFSET)
"""Which event it is, in the columns of raw events, dead letters and skipped ones; and in a row."""

PROBLEM = pa.struct(
    [
        pa.field("code", pa.string()),
        pa.field("field_path", pa.string()),
        pa.field("expected", pa.string()),
        pa.field("actual", pa.string()),
    ]
)

DEAD_LETTER = pa.schema(
    [
        pa.field("dlq_id", pa.string()),
        pa.field("failed_at", TIMESTAMP),
        pa.field("failed_date", pa.date32()),
        pa.field("pipeline", pa.string()),
        pa.field("schema_version", pa.string()),
        pa.field("schema_hash", pa.string()),
        pa.field("app_version", pa.string()),
        pa.field("engine", pa.string()),
        pa.field("stage", pa.string()),
        pa.field("code", pa.string()),
        pa.field("field_path", pa.string()),
        pa.field("expected", pa.string()),
        pa.field("actual", pa.string()),
        pa.field("problems", pa.list_(PROBLEM)),
        pa.field("message", pa.string()),
        pa.field("fingerprint", pa.string()),
        pa.field("fingerprint_version", pa.int32()),
        pa.field("topic", pa.string()),
        pa.field("topic_id", pa.string()),
        pa.field("partition", pa.int32()),
        pa.field("offset", pa.int64()),
        pa.field("kafka_timestamp", TIMESTAMP),
        pa.field("timestamp_type", pa.int32()),
        pa.field("key", pa.binary()),
        pa.field("value", pa.binary()),
        pa.field("value_size", pa.int64()),
        pa.field("value_sha256", pa.string()),
        pa.field("value_truncated", pa.bool_()),
        pa.field("headers", HEADERS),
        pa.field("value_preview", pa.string()),
        pa.field("detail_sampled", pa.bool_()),
    ]
)
"""One row of `<table>__dlq`. Append only; a row never changes."""

ACTION = pa.schema(
    [
        pa.field("action_id", pa.string()),
        pa.field("run_id", pa.string()),
        pa.field("dlq_id", pa.string()),
        pa.field("topic", pa.string()),
        pa.field("topic_id", pa.string()),
        pa.field("partition", pa.int32()),
        pa.field("offset", pa.int64()),
        pa.field("action", pa.string()),
        pa.field("actor", pa.string()),
        pa.field("at", TIMESTAMP),
        pa.field("target", pa.string()),
        pa.field("target_version", pa.int64()),
        pa.field("code", pa.string()),
        pa.field("note", pa.string()),
    ]
)
"""One row of the ledger `<table>__dlq_actions`: what was done with one dead letter. Never purged.

`action` is one of `ACTIONS`. `target` is where a replay wrote to, `target_version` the version of
that table; `code` is why a replayed record failed again.
"""

ACTIONS = ("replayed", "failed_again", "ignored", "reopened", "purged", "erased")
"""Closed list; the status of a dead letter is its newest one, else `open`."""

SKIPPED = pa.schema(
    [
        pa.field("topic", _DICTIONARY, nullable=False),
        pa.field("topic_id", _DICTIONARY),
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
    ]
)
"""Events that were delivered and left out by rule (`tombstone` or `filtered`), one row each."""
