"""Which events are meant, and what is the case with each: by identity alone, in bounded memory.

Nine bytes for each dead letter. An event has exactly one place, so whatever asks twice for the
same one is answered only once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stream_processor.operations.snapshots import Key

Int64s = npt.NDArray[np.int64]
Fates = npt.NDArray[np.int8]

IDENTITY = ("topic", "topic_id", "partition", "offset")
_RANGES_MAX = 32
_GAP_OFFSETS_MIN = 10_000


class Fate(IntEnum):
    """What is the case with the event of a dead letter."""

    TO_DO = 0
    PENDING = 1  # its batch has not reached the data table yet
    THERE = 2  # it is a row already
    TAKEN = 3  # somebody has asked for it
    UNKNOWN = 4  # it is not among those meant


class Places:
    """The events of some dead letters, each with its fate. Made by `places_of`.

    State: the fates. Used by one thread.
    """

    def __init__(self, offsets: Mapping[Key, Int64s]) -> None:
        self._offsets = offsets
        self._fates = {key: np.zeros(len(found), np.int8) for key, found in offsets.items()}

    def settle(self, next_offsets: Mapping[Key, int]) -> None:
        """What is at or above the data table's next offset waits for its batch."""
        for key, offsets in self._offsets.items():
            waiting = offsets >= next_offsets.get(key, np.iinfo(np.int64).min)
            self._fates[key][waiting & (self._fates[key] == Fate.TO_DO)] = Fate.PENDING

    def found(self, key: Key, offsets: Int64s) -> None:
        """These offsets are rows of the data table."""
        if key not in self._offsets:
            return
        at, known = self._lookup(key, offsets)
        fates = self._fates[key]
        mine = at[known]
        fates[mine[fates[mine] == Fate.TO_DO]] = Fate.THERE

    def fates(self, batch: pa.RecordBatch) -> Fates:
        """The fate of each row of a batch that has the columns `IDENTITY`."""
        fates = np.full(batch.num_rows, Fate.UNKNOWN, np.int8)
        for key, rows, offsets in by_partition(batch):
            if key in self._offsets:
                at, known = self._lookup(key, offsets)
                fates[rows[known]] = self._fates[key][at[known]]
        return fates

    def take(self, batch: pa.RecordBatch) -> Fates:
        """The same; from now on all of them are `TAKEN`. A repeated row of the batch is, too."""
        fates = np.full(batch.num_rows, Fate.UNKNOWN, np.int8)
        for key, rows, offsets in by_partition(batch):
            if key not in self._offsets:
                continue
            at, known = self._lookup(key, offsets)
            mine, places = rows[known], at[known]
            found = self._fates[key][places]
            again = np.ones(len(places), np.bool_)
            again[np.unique(places, return_index=True)[1]] = False
            found[again] = Fate.TAKEN
            fates[mine] = found
            self._fates[key][places] = Fate.TAKEN
        return fates

    def count(self, fate: Fate) -> int:
        """How many have it now."""
        return sum(int((fates == fate).sum()) for fates in self._fates.values())

    def where(self, partition: str, offset: str) -> pc.Expression | None:
        """Rows that may be events still to do, by numbers alone; None where there is nothing to do.

        `partition` and `offset` are the names of the columns. For skipping files, not for truth.
        """
        todo = {key: self._offsets[key][fates == Fate.TO_DO] for key, fates in self._fates.items()}
        todo = {key: offsets for key, offsets in todo.items() if len(offsets)}
        if not todo:
            return None
        numbers = pa.array(sorted({number for _, number in todo}), pa.int32())
        inside = [
            (pc.field(offset) >= pa.scalar(first, pa.int64()))
            & (pc.field(offset) <= pa.scalar(last, pa.int64()))
            for first, last in _ranges(np.unique(np.concatenate([*todo.values()])))
        ]
        any_of = inside[0]
        for each in inside[1:]:
            any_of = any_of | each
        return pc.field(partition).isin(numbers) & any_of

    def _lookup(self, key: Key, offsets: Int64s) -> tuple[Int64s, npt.NDArray[np.bool_]]:
        mine = self._offsets[key]
        at = np.searchsorted(mine, offsets)
        at[at == len(mine)] = 0
        return at, mine[at] == offsets


def places_of(batches: Iterable[pa.RecordBatch]) -> Places:
    """The places of all rows of these batches, which have the columns `IDENTITY`."""
    found: dict[Key, list[Int64s]] = {}
    for batch in batches:
        for key, _, offsets in by_partition(batch):
            found.setdefault(key, []).append(offsets)
    return Places({key: np.unique(np.concatenate(parts)) for key, parts in found.items()})


def by_partition(batch: pa.RecordBatch) -> Iterator[tuple[Key, Int64s, Int64s]]:
    """(partition, rows of the batch, their offsets), for each partition in it.

    A row without partition or offset, which no stream writes, belongs to none.
    """
    identities = pc.coalesce(_text(batch["topic_id"]), _text(batch["topic"])).dictionary_encode()
    whole = pc.and_(batch["partition"].is_valid(), batch["offset"].is_valid())
    whole = pc.and_(whole, identities.is_valid())
    rows = np.flatnonzero(whole.to_numpy(zero_copy_only=False))
    if not len(rows):
        return
    chosen = pa.array(rows)
    names = identities.dictionary.to_pylist()
    codes = np.asarray(identities.indices.take(chosen), dtype=np.int64)
    numbers = np.asarray(batch["partition"].take(chosen), dtype=np.int64)
    offsets = np.asarray(batch["offset"].take(chosen), dtype=np.int64)
    groups = (codes << 32) | numbers
    order = np.argsort(groups, kind="stable")
    bounds = np.flatnonzero(np.diff(groups[order])) + 1
    for begin, end in pairwise([0, *bounds.tolist(), len(order)]):
        members = order[begin:end]
        group = int(groups[members[0]])
        yield (names[group >> 32], group & 0xFFFFFFFF), rows[members], offsets[members]


def _text(column: pa.Array) -> pa.Array:
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column


def _ranges(offsets: Int64s) -> list[tuple[int, int]]:
    """A few ranges that cover ascending offsets: cut at the widest gaps, where cutting pays."""
    gaps = np.diff(offsets)
    wide = np.flatnonzero(gaps >= _GAP_OFFSETS_MIN)
    wide = wide[np.argsort(gaps[wide], kind="stable")[::-1]][: _RANGES_MAX - 1]
    ends = [*sorted(wide.tolist()), len(offsets) - 1]
    begins = [0, *(end + 1 for end in ends[:-1])]
    return [
        (int(offsets[begin]), int(offsets[end])) for begin, end in zip(begins, ends, strict=True)
    ]
