"""Where the values of the wanted keys stand in many JSON objects, found by `scan.c`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from stream_processor.processor.native.library import Scan, address, library

Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]
Places = np.ndarray[tuple[int], np.dtype[np.int32]]
Kinds = np.ndarray[tuple[int], np.dtype[np.uint8]]
_Bytes = np.ndarray[tuple[int], np.dtype[np.uint8]]

DROP, KEEP, LEAVE_OVER = range(3)
"""What becomes of unwanted members, as in `scan.c`."""

ABSENT, STRING, ESCAPED, NUMBER, WORD, OBJECT, ARRAY = range(7)
"""Kinds of tokens, as in `scan.h`."""


class Text(NamedTuple):
    """Bytes in memory: `address` is good as long as `owner` lives."""

    owner: pa.Buffer
    address: int
    nbytes: int


class Tokens(NamedTuple):
    """One token per row: where it begins in the text, its bytes, its kind."""

    starts: Places
    sizes: Places
    kinds: Kinds

    def only(self, rows: Mask) -> Tokens:
        """Those of some rows."""
        return Tokens(self.starts[rows], self.sizes[rows], self.kinds[rows])

    def spread(self, rows: Mask) -> Tokens:
        """The tokens at these rows of all; the others are absent."""
        starts, sizes = np.zeros(len(rows), np.int32), np.zeros(len(rows), np.int32)
        kinds = np.zeros(len(rows), np.uint8)
        starts[rows], sizes[rows], kinds[rows] = self
        return Tokens(starts, sizes, kinds)


@dataclass(frozen=True, slots=True)
class Objects:
    """What is to be scanned: the objects from `begins` to `ends` of a text, where `asked`."""

    text: Text
    begins: Places
    ends: Places
    asked: Mask


@dataclass(frozen=True, slots=True)
class Scanned:
    """`taken`: which objects were understood. All else has one row for each of those, in order.

    `tokens` has the values of each key; `kept` is the object of the unwanted members, null where
    there are none.
    """

    taken: Mask
    tokens: dict[str, Tokens]
    kept: pa.StringArray | None


class Scanner:
    """Scans for the same keys again and again. Has no state but what it was made of."""

    def __init__(
        self, keys: Sequence[str], whole: Collection[str], unwanted: int, limits: tuple[int, int]
    ) -> None:
        """`whole` are the keys that are never kept; `limits` are (depth, bytes of an object)."""
        ordered = sorted((key.encode() for key in keys), key=lambda key: (len(key), key))
        self._names = [key.decode() for key in ordered]
        self._keys = np.frombuffer(b"".join(ordered) + b"\0", np.uint8)
        self._bounds = np.cumsum([0, *map(len, ordered)], dtype=np.int64)
        self._whole = np.array([name in whole for name in self._names], np.uint8)
        self._unwanted = unwanted
        self._depth_max, self._bytes_max = limits

    def scan(self, objects: Objects) -> Scanned:
        """Look at each object once. The library must be there."""
        keys, rows = len(self._names), len(objects.asked)
        starts = np.empty((keys, rows), np.int32)
        sizes = np.empty((keys, rows), np.int32)
        kinds = np.empty((keys, rows), np.uint8)
        taken = objects.asked.astype(np.uint8)
        following = np.zeros(keys + 1, np.int64)
        brackets = np.empty(self._depth_max, np.uint8)
        kept = np.empty(self._room(objects), np.uint8)
        kept_bounds = np.empty(rows + 1, np.int32)
        count = library().scan_events(
            Scan(
                data=objects.text.address,
                data_bytes=objects.text.nbytes,
                begins=address(objects.begins),
                ends=address(objects.ends),
                events=rows,
                event_bytes_max=self._bytes_max,
                depth_max=self._depth_max,
                keys=address(self._keys),
                key_bounds=address(self._bounds),
                key_count=keys,
                key_whole=address(self._whole),
                key_next=address(following),
                brackets=address(brackets),
                unwanted=self._unwanted,
                starts=address(starts),
                sizes=address(sizes),
                kinds=address(kinds),
                taken=address(taken),
                kept=address(kept),
                kept_bytes_max=len(kept),
                kept_bounds=address(kept_bounds),
            )
        )
        tokens = {
            name: Tokens(starts[key, :count], sizes[key, :count], kinds[key, :count])
            for key, name in enumerate(self._names)
        }
        keeps = self._unwanted == KEEP
        return Scanned(
            taken.view(np.bool_), tokens, _kept(kept, kept_bounds[: count + 1]) if keeps else None
        )

    def _room(self, objects: Objects) -> int:
        """Bytes for what is kept, which is never longer than what it is kept of."""
        if self._unwanted != KEEP:
            return 1
        return int(objects.ends.sum(dtype=np.int64) - objects.begins.sum(dtype=np.int64))


def _kept(texts: _Bytes, bounds: Places) -> pa.StringArray:
    return string_array(texts, bounds, np.diff(bounds) > 0)


def string_array(texts: _Bytes, bounds: Places, valid: Mask) -> pa.StringArray:
    """A column over these very bytes, which are UTF-8."""
    bits, nulls = validity(valid)
    return pa.StringArray.from_buffers(
        len(valid), pa.py_buffer(bounds), pa.py_buffer(texts[: bounds[-1]]), bits, nulls
    )


def validity(valid: Mask) -> tuple[Any, int]:
    """Arrow's bitmap (None where all is valid) and the number of nulls."""
    nulls = len(valid) - int(np.count_nonzero(valid))
    return (pa.py_buffer(np.packbits(valid, bitorder="little")) if nulls else None), nulls
