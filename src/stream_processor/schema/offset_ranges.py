"""The shape of `<table>__offsets`: what the commits of a table said, kept when its log is cleaned.

One row for each run of batches of one partition that follow upon one another, of one fold.
"""

from __future__ import annotations

import pyarrow as pa

from stream_processor.schema.types import TIMESTAMP

_SKIPPED = pa.list_(pa.struct([pa.field("reason", pa.string()), pa.field("count", pa.int64())]))
_RANGES = pa.list_(
    pa.struct([pa.field("from_offset", pa.int64()), pa.field("to_offset", pa.int64())])
)

OFFSET_RANGE = pa.schema(
    [
        pa.field("topic", pa.string()),
        pa.field("topic_id", pa.string()),
        pa.field("partition", pa.int32()),
        pa.field("from_offset", pa.int64()),
        pa.field("to_offset", pa.int64()),
        pa.field("rows", pa.int64()),
        pa.field("dead", pa.int64()),
        pa.field("held", pa.int64()),
        pa.field("skipped", _SKIPPED),
        pa.field("superseded", pa.int64()),
        pa.field("holes", _RANGES),
        pa.field("gaps", _RANGES),
        pa.field("commits", pa.int64()),
        pa.field("first_version", pa.int64()),
        pa.field("table_version", pa.int64()),
        pa.field("first_committed_at", TIMESTAMP),
        pa.field("committed_at", TIMESTAMP),
        pa.field("table_id", pa.string()),
    ]
)
"""Offsets [from_offset, to_offset) of a partition, by `commits` commits of the table `table_id`.

Of these the first made version `first_version` and the last `table_version`. `rows`, `dead`, `held`
(dead letters that were written before a crash) and `skipped` are sums; `holes` and `gaps` are
ranges that Kafka never delivered, at most 1,000 of a commit.
"""


def offsets_uri(table_uri: str) -> str:
    """Where the ranges of a table are: beside it."""
    return f"{table_uri}__offsets"
