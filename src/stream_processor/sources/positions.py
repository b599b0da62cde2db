"""The offset arithmetic of every source: what is accepted, and how far a batch speaks.

Pure: no Kafka, no clock. The letters in brackets are steps of the commit protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from stream_processor.ports import Partition, StartAt

Slots = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

UNKNOWN = -1
"""The slot of a partition that was not started."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How far one batch speaks: the mappings of `ports.Batch` without the records."""

    since: Mapping[Partition, int]
    upto: Mapping[Partition, int]
    held_back: Mapping[Partition, frozenset[int]]
    gaps: Mapping[Partition, tuple[tuple[int, int], ...]]


class Positions:
    """Where each started partition stands. One object per start; sources call it for each fetch.

    A *slot* is the index of a partition in `parts`: whole fetches are judged as arrays of slots
    and offsets. `next` is the next offset to accept, and so the `upto` of the batch being filled.
    `left_out` counts records that B1 refused since the start.
    """

    def __init__(self, starts: Mapping[Partition, StartAt]) -> None:
        self.parts: tuple[Partition, ...] = tuple(sorted(starts, key=_order))
        self._slots = {(p.topic, p.partition): slot for slot, p in enumerate(self.parts)}
        self._next = np.array([starts[p].next_offset for p in self.parts], dtype=np.int64)
        self._since = self._next.copy()
        self._held = [
            {offset for offset in starts[p].held_back if offset >= starts[p].next_offset}
            for p in self.parts
        ]
        self._holding = any(self._held)
        self.left_out = 0
        self._gaps: dict[int, list[tuple[int, int]]] = {}
        self._topics, self._table = self._lookup_table()

    def _lookup_table(self) -> tuple[dict[str, int], Slots]:
        """Rows are topics, columns partitions; the last of both stands for "not started"."""
        topics = {name: row for row, name in enumerate(dict.fromkeys(p.topic for p in self.parts))}
        width = max((p.partition for p in self.parts), default=0) + 2
        table = np.full((len(topics) + 1, width), UNKNOWN, dtype=np.int32)
        for slot, part in enumerate(self.parts):
            table[topics[part.topic], part.partition] = slot
        return topics, table

    def slot(self, topic: str, partition: int) -> int:
        """The slot of one partition, or `UNKNOWN`."""
        return self._slots.get((topic, partition), UNKNOWN)

    def slots(self, topics: list[str], partitions: Offsets) -> Slots:
        """The slots of a whole fetch, one per record."""
        columns = np.minimum(partitions, self._table.shape[1] - 1)
        names = set(topics)
        if len(names) == 1:
            row: Slots = self._table[self._topics.get(names.pop(), -1)]
            return cast("Slots", row[columns])
        rows = np.array([self._topics.get(name, -1) for name in topics], dtype=np.int64)
        return cast("Slots", self._table[rows, columns])

    def next_offset(self, slot: int) -> int:
        """The next offset that this partition accepts."""
        return int(self._next[slot])

    def accept(self, slots: Slots, offsets: Offsets) -> Mask | None:
        """Judge one fetch [B1, B2] and move on. None: every record was accepted.

        Accepted is what belongs to a started partition, is not below its next offset, is strictly
        increasing, and is not held back. Anything else is dropped, whatever order it comes in.
        """
        if len(slots) == 0:
            return None
        if not self._holding and self._advance_in_order(slots, offsets):
            return None
        return self._accept_one_by_one(slots, offsets)

    def _advance_in_order(self, slots: Slots, offsets: Offsets) -> bool:
        """The common case in a few array operations; changes nothing when it is not the case."""
        order = np.argsort(slots, kind="stable")
        by_slot, by_offset = slots[order], offsets[order]
        if by_slot[0] == UNKNOWN:
            return False
        begins = np.empty(len(order), dtype=np.bool_)
        begins[0] = True
        np.not_equal(by_slot[1:], by_slot[:-1], out=begins[1:])
        if not np.all(begins[1:] | (by_offset[1:] > by_offset[:-1])):
            return False
        firsts = np.flatnonzero(begins)
        present = by_slot[firsts]
        if np.any(by_offset[firsts] < self._next[present]):
            return False
        lasts = np.append(firsts[1:], len(order)) - 1
        self._next[present] = by_offset[lasts] + 1
        return True

    def _accept_one_by_one(self, slots: Slots, offsets: Offsets) -> Mask:
        accepted = np.zeros(len(slots), dtype=np.bool_)
        for index, (slot, offset) in enumerate(zip(slots.tolist(), offsets.tolist(), strict=True)):
            if slot == UNKNOWN or offset < self._next[slot]:
                self.left_out += 1
                continue
            self._next[slot] = offset + 1
            accepted[index] = offset not in self._held[slot]
        return accepted

    def reach(self, slot: int, offset: int) -> None:
        """The log of this partition ends at `offset` (the end-of-partition event's own) [B3]."""
        self._next[slot] = max(self._next[slot], offset)

    def skip_gap(self, slot: int, low: int) -> None:
        """A person accepted that all below `low` is gone; what is held back is not: we have it."""
        begin = int(self._next[slot])
        for end in sorted(self._held[slot] | {low}):
            if begin < end <= low:
                self._gaps.setdefault(slot, []).append((begin, end))
            begin = max(begin, end + 1)
        self._next[slot] = max(int(self._next[slot]), low)

    @property
    def advanced(self) -> bool:
        """Whether the batch being filled says anything at all."""
        return bool(np.any(self._next > self._since))

    def close_batch(self) -> Reach:
        """End the batch here: what it covers. The next one begins where this one ends."""
        since, upto = self._since.tolist(), self._next.tolist()
        held = {
            part: self._take_held(slot, upto[slot])
            for slot, part in enumerate(self.parts)
            if self._held[slot]
        }
        reach = Reach(
            since=dict(zip(self.parts, since, strict=True)),
            upto=dict(zip(self.parts, upto, strict=True)),
            held_back={part: offsets for part, offsets in held.items() if offsets},
            gaps={self.parts[slot]: tuple(ranges) for slot, ranges in self._gaps.items()},
        )
        self._since, self._gaps = self._next.copy(), {}
        self._holding = any(self._held)
        return reach

    def _take_held(self, slot: int, upto: int) -> frozenset[int]:
        """Held-back offsets that this batch passes, delivered by Kafka or not."""
        passed = frozenset(offset for offset in self._held[slot] if offset < upto)
        self._held[slot] -= passed
        return passed


def _order(part: Partition) -> tuple[str, int]:
    return (part.topic, part.partition)
