"""Reads what maintenance kept of a log that it cleaned: for `verify`."""

from __future__ import annotations

from stream_processor.operations.snapshots import Snapshot
from stream_processor.sinks.delta_errors import mapped

_COLUMNS = ["topic", "topic_id", "partition", "holes", "gaps"]


def kept_holes(offsets: Snapshot | None) -> dict[str, list[tuple[int, int]]]:
    """What Kafka never delivered, by `<topic id>/<partition>`. Only to name examples: the proof
    counts with the table's own numbers. Raises `Unavailable`."""
    if offsets is None:
        return {}
    found: dict[str, list[tuple[int, int]]] = {}
    with mapped(offsets.uri, "reading"):
        batches = offsets.table.to_pyarrow_dataset().to_batches(columns=_COLUMNS)
        for row in (row for batch in batches for row in batch.to_pylist()):
            ranges = [*(row["holes"] or ()), *(row["gaps"] or ())]
            name = f"{row['topic_id'] or row['topic']}/{row['partition']}"
            pairs = [(each["from_offset"], each["to_offset"]) for each in ranges]
            found.setdefault(name, []).extend(pairs)
    return found
