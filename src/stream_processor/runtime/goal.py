"""When a bounded run is done: at the end of the log as it stood, after N records, in time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stream_processor.errors import PartitionUnreadable
from stream_processor.ports import Batch, Offsets, Partition, Position, Source

SPARE_SECONDS = 10.0
"""While partitions move between processes one of them may own none for a moment."""


@dataclass(slots=True)
class Goal:
    """`until_latest`: the offsets that Kafka held when we first owned a partition.

    `records_max`: about so many records, rounded up to a batch. Without either, never met, unless
    `expired` is set from outside because the time is over. `now` is the clock's monotonic time.
    """

    until_latest: bool = False
    records_max: int | None = None
    expired: bool = False
    records: int = 0
    _targets: dict[Partition, int] = field(default_factory=dict)
    _at: dict[Partition, int] = field(default_factory=dict)
    _spare_since: float | None = None

    def claimed(self, positions: Mapping[Partition, Position], source: Source, now: float) -> None:
        """Partitions were taken over: note their ends, those that are known already excepted."""
        self._spare_since = now if not positions and source.has_met() else None
        self._at = {part: position.next_offset for part, position in positions.items()}
        if self.until_latest:
            new = [part for part in positions if part not in self._targets]
            marks = source.watermarks([part.bare for part in new])
            self._targets |= {part: marks[part.bare][1] for part in new}
            source.aim({part: self._targets[part] for part in positions})

    def settled(self, upto: Offsets) -> None:
        """A batch is durable."""
        for part, advance in upto.items():
            self._at[part] = advance.upto
            self.records += advance.rows + advance.dead

    def may_be_met(self, batch: Batch) -> bool:
        """Whether the run is done once this batch is durable, so that it is not waited for late."""
        if self.records_max is not None:
            return bool(self.records + batch.records.num_rows >= self.records_max)
        return self.until_latest and self._reached({**self._at, **batch.upto})

    def is_met(self) -> bool:
        """Whether everything that was asked for is durable, or the time is over."""
        if self.expired:
            return True
        if self.records_max is not None and self.records >= self.records_max:
            return True
        return self.until_latest and self._reached(self._at)

    def is_spare(self, now: float) -> bool:
        """Whether other processes have owned every partition for so long that we may end."""
        since = self._spare_since
        return self.until_latest and since is not None and now - since >= SPARE_SECONDS

    def refuse_stuck(self, stuck: Mapping[Partition, str]) -> None:
        """Raises `PartitionUnreadable` when all that is left to do cannot be read."""
        if not self.until_latest or not stuck:
            return
        left = {part for part, at in self._at.items() if at < self._targets.get(part, at)}
        if left and left <= stuck.keys():
            why = "; ".join(f"{part}: {stuck[part]}" for part in sorted(left))
            raise PartitionUnreadable(
                f"everything else is done, but these cannot be read on: {why}",
                hint="a larger engine.memory_limit, or receive.message.max.bytes in "
                "source.kafka.properties, lets a larger batch in; a damaged one is the brokers' "
                "business. Nothing was skipped: the next run goes on there",
            )

    def _reached(self, at: Mapping[Partition, int]) -> bool:
        owned = [part for part in self._targets if part in at]
        return bool(owned) and all(at[part] >= self._targets[part] for part in owned)
