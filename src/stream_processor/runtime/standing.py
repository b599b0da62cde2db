"""Where every owned partition stands, for lag and freshness: kept by the engine, batch by batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pyarrow as pa

from stream_processor.ports import Batch, Offsets, Partition, Standing

Span = tuple[int, int]
"""Oldest and newest Kafka timestamp of some records, in milliseconds."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """What the engine keeps of a batch that is in memory and not durable."""

    spans: Mapping[Partition, Span]
    records: int
    size_bytes: int


@dataclass(slots=True)
class Standings:
    """State of the engine's thread: what the table holds, and at most two batches on their way."""

    _held: dict[Partition, Standing] = field(default_factory=dict)
    _waiting: deque[_Waiting] = field(default_factory=deque)
    _oldest_settled_ms: int | None = None

    def claimed(self, offsets: Mapping[Partition, int]) -> None:
        """Partitions were taken over at these offsets; nothing is on its way."""
        self._waiting.clear()
        self._held = {
            part: replace(self._held.get(part, Standing(offset, offset)), next_offset=offset)
            for part, offset in offsets.items()
        }

    def polled(self, batch: Batch) -> None:
        """A batch came into memory; one that moves nothing is forgotten at once."""
        if batch.moves:
            self._waiting.append(
                _Waiting(_spans(batch), batch.records.num_rows, batch.records.nbytes)
            )

    def settled(self, upto: Offsets) -> None:
        """The oldest batch in memory is durable."""
        spans = self._waiting.popleft().spans
        self._oldest_settled_ms = min((oldest for oldest, _ in spans.values()), default=None)
        for part, advance in upto.items():
            before = self._held.get(part, Standing(advance.upto, advance.upto))
            newest = spans[part][1] if part in spans else before.committed_ms
            self._held[part] = replace(before, next_offset=advance.upto, committed_ms=newest)

    def standings(self, ends: Mapping[Partition, tuple[int, int]]) -> dict[Partition, Standing]:
        """All owned partitions; `ends` are (next to read, end of the log) as the source knows."""
        for part, (_, high) in ends.items():
            if part in self._held:
                self._held[part] = replace(self._held[part], high=high)
        return {
            part: replace(standing, waiting_ms=self._oldest_waiting_ms(part))
            for part, standing in self._held.items()
        }

    def buffered(self) -> tuple[int, int]:
        """(records, bytes) in memory."""
        return (
            sum(each.records for each in self._waiting),
            sum(each.size_bytes for each in self._waiting),
        )

    def age_seconds(self, now: float) -> float | None:
        """How old the oldest record of the last durable batch is; None without timestamps."""
        if self._oldest_settled_ms is None:
            return None
        return max(0.0, now - self._oldest_settled_ms / 1000)

    def _oldest_waiting_ms(self, part: Partition) -> int | None:
        return min((w.spans[part][0] for w in self._waiting if part in w.spans), default=None)


def _spans(batch: Batch) -> dict[Partition, Span]:
    by_place = {(part.topic, part.partition): part for part in batch.upto}
    table = pa.Table.from_batches([batch.records.select(["topic", "partition", "timestamp"])])
    found = table.group_by(["topic", "partition"]).aggregate(
        [("timestamp", "min"), ("timestamp", "max")]
    )
    oldest = found["timestamp_min"].cast(pa.int64()).to_pylist()
    newest = found["timestamp_max"].cast(pa.int64()).to_pylist()
    places = zip(found["topic"].to_pylist(), found["partition"].to_pylist(), strict=True)
    return {
        by_place[place]: (low, high)
        for place, low, high in zip(places, oldest, newest, strict=True)
        if low is not None and place in by_place
    }
