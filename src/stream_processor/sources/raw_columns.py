"""From the columns of many small fetches to one record batch in the shape `schema.records.RAW`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stream_processor.ports import Partition
from stream_processor.schema.records import HEADERS, NOT_FETCHED, RAW
from stream_processor.sources.positions import Mask, Offsets, Slots

Headers = list[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Fetch:
    """Records of one fetch, column by column, in the order of delivery. All are equally long.

    `timestamp_types` as in `schema.records.RAW`; without a time of its own, that of a record is
    ignored.
    """

    slots: Slots
    offsets: Offsets
    timestamps: npt.NDArray[np.int64]
    timestamp_types: npt.NDArray[np.int8]
    keys: pa.Array
    values: pa.Array
    headers: pa.Array

    @classmethod
    def of(
        cls,
        slots: Slots,
        offsets: Offsets,
        times: tuple[npt.NDArray[np.int8], npt.NDArray[np.int64]],
        payload: tuple[Sequence[bytes | None], Sequence[bytes | None], Sequence[Headers | None]],
    ) -> Fetch:
        """`times` is (types, milliseconds), `payload` is lists of (keys, values, headers)."""
        keys, values, headers = payload
        return cls(
            slots=slots,
            offsets=offsets,
            timestamp_types=times[0],
            timestamps=times[1],
            keys=_binary(keys),
            values=pa.array(values, pa.binary()),
            headers=_headers(headers),
        )

    @classmethod
    def unseen(cls, slot: int, offset: int) -> Fetch:
        """One record of which nothing is known but its offset."""
        return cls.of(
            np.array([slot], np.int32),
            np.array([offset], np.int64),
            (np.array([NOT_FETCHED], np.int8), np.array([0], np.int64)),
            ([None], [None], [None]),
        )

    @property
    def nbytes(self) -> int:
        """Bytes of keys, values and headers with their Arrow offsets."""
        return int(self.keys.nbytes + self.values.nbytes + self.headers.nbytes)

    def only(self, mask: Mask) -> Fetch:
        """The records where `mask` is true."""
        chosen = pa.array(mask)
        return Fetch(
            slots=self.slots[mask],
            offsets=self.offsets[mask],
            timestamps=self.timestamps[mask],
            timestamp_types=self.timestamp_types[mask],
            keys=self.keys.filter(chosen),
            values=self.values.filter(chosen),
            headers=self.headers.filter(chosen),
        )


def _binary(items: Sequence[bytes | None]) -> pa.Array:
    # A column of nulls needs no look at each item: many topics have no keys at all.
    if items[:1] == [None] and items.count(None) == len(items):
        return pa.nulls(len(items), pa.binary())
    return pa.array(items, pa.binary())


def _headers(items: Sequence[Headers | None]) -> pa.Array:
    if items.count(None) == len(items):
        return pa.nulls(len(items), HEADERS)
    return pa.array(items, HEADERS)


class RawColumns:
    """Collects fetches until a batch is complete. Used by one source on one thread."""

    def __init__(self) -> None:
        self._fetches: list[Fetch] = []
        self.rows = 0
        self.nbytes = 0

    def add(self, fetch: Fetch) -> None:
        """Take the records of one fetch, which must all have been accepted."""
        if len(fetch.slots):
            self._fetches.append(fetch)
            self.rows += len(fetch.slots)
            self.nbytes += fetch.nbytes

    def take(self, parts: Sequence[Partition]) -> pa.RecordBatch:
        """One record batch of all that was added, and begin anew. `parts` are the slots."""
        fetches, self._fetches, self.rows, self.nbytes = self._fetches, [], 0, 0
        if not fetches:
            return _empty()
        slots = np.concatenate([f.slots for f in fetches])
        types = np.concatenate([f.timestamp_types for f in fetches])
        times = np.concatenate([f.timestamps for f in fetches])
        partitions = np.array([p.partition for p in parts], dtype=np.int32)
        columns = [
            _dictionary([p.topic for p in parts], slots),
            _dictionary([p.topic_id for p in parts], slots),
            pa.array(partitions[slots]),
            pa.array(np.concatenate([f.offsets for f in fetches])),
            pa.array(times, RAW.field("timestamp").type, mask=types <= 0),
            pa.array(types),
            pa.concat_arrays([f.keys for f in fetches]),
            pa.concat_arrays([f.values for f in fetches]),
            pa.concat_arrays([f.headers for f in fetches]),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=RAW)


def _empty() -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], f.type) for f in RAW], schema=RAW)


def _dictionary(names: Sequence[str | None], slots: Slots) -> pa.DictionaryArray:
    """`names[slot]` for every record, each distinct name stored once."""
    distinct = list(dict.fromkeys(name for name in names if name is not None))
    codes = np.array([distinct.index(n) if n is not None else -1 for n in names], dtype=np.int32)
    indices = codes[slots]
    return pa.DictionaryArray.from_arrays(
        pa.array(indices, mask=indices < 0), pa.array(distinct, pa.string())
    )
