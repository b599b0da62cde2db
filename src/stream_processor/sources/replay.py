"""Dead letters as the events that they were: what enters the kernel again. Pure."""

from __future__ import annotations

import pyarrow as pa

from stream_processor.schema import records

COLUMNS = (
    "topic",
    "topic_id",
    "partition",
    "offset",
    "kafka_timestamp",
    "timestamp_type",
    "key",
    "value",
    "headers",
)
"""What `raw_events` reads of a dead letter."""


def raw_events(letters: pa.RecordBatch) -> pa.RecordBatch:
    """The exact events of these dead letters, shaped as `records.RAW`, in their order.

    Called by replay and by whoever asks what today's schema would make of them. A letter whose
    value was cut (`value_truncated`) is not the event any more: leave it out.
    """
    arrays = [
        letters["kafka_timestamp" if field.name == "timestamp" else field.name].cast(field.type)
        if not pa.types.is_dictionary(field.type)
        else letters[field.name].cast(pa.string()).dictionary_encode().cast(field.type)
        for field in records.RAW
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=records.RAW)
