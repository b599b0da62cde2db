"""Cheap tests of a whole column of values: which ones need a closer look before they are decoded?

They may suspect a good value, but never pass one that breaks the rules of records.md, 2, beyond
what decoding itself refuses: UTF-8, depth and size are what a decoder cannot be trusted with.
"""

from __future__ import annotations

import codecs
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from stream_processor.processor.plan import PlanOptions

Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]

_WINDOW = 64
_OPENINGS = np.zeros(256, dtype=np.bool_)
_OPENINGS[list(b"{ \t\n\r")] = True
_CONTINUATION = np.zeros(256, dtype=np.bool_)
_CONTINUATION[0x80:0xC0] = True


class Screening(NamedTuple):
    """`suspect`: the exact rules must judge the text; `bracketed`: only its depth is in doubt."""

    suspect: Mask
    bracketed: Mask


class _Column(NamedTuple):
    """The bytes of all values in one piece and where each begins (one more at the end)."""

    data: np.ndarray[tuple[int], np.dtype[np.uint8]]
    bounds: np.ndarray[tuple[int], np.dtype[np.int64]]


def screen(values: pa.BinaryArray, options: PlanOptions) -> Screening:
    """Look at all values at once. Called by the kernel for each slice of a batch."""
    column = _column(values)
    lengths = np.diff(column.bounds)
    suspect = (lengths == 0) | (lengths > options.max_record_bytes)
    filled = np.flatnonzero(lengths)
    first = column.data[column.bounds[filled]]
    suspect[filled[~_OPENINGS[first]]] = True
    suspect[_maybe_not_utf8(values, column, filled[_CONTINUATION[first]])] = True
    return Screening(suspect, _bracketed(column, options.max_depth))


def _column(values: pa.BinaryArray) -> _Column:
    if not len(values):
        return _Column(np.zeros(0, np.uint8), np.zeros(1, np.int64))
    _, offsets, data = values.buffers()
    bounds = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values) + 1]
    whole = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return _Column(whole[bounds[0] : bounds[-1]], bounds.astype(np.int64) - bounds[0])


def _maybe_not_utf8(
    values: pa.BinaryArray, column: _Column, torn: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> list[int]:
    """Rows that are not UTF-8. A row of `torn` begins in mid-character: it and its neighbour."""
    try:
        values.cast(pa.string())
    except pa.ArrowInvalid:
        pass
    else:
        return []
    rows = [row for end in torn.tolist() for row in (max(end - 1, 0), end)]
    data, bounds = column.data.tobytes(), column.bounds.tolist()
    for begin in range(0, len(bounds) - 1, _WINDOW):
        end = min(begin + _WINDOW, len(bounds) - 1)
        if not _is_utf8(data[bounds[begin] : bounds[end]]):
            rows += [
                row
                for row in range(begin, end)
                if not _is_utf8(data[bounds[row] : bounds[row + 1]])
            ]
    return rows


def _is_utf8(data: bytes) -> bool:
    try:
        codecs.utf_8_decode(data, "strict", True)  # noqa: FBT003  # the signature is codecs' own
    except UnicodeDecodeError:
        return False
    return True


def _bracketed(column: _Column, max_depth: int) -> Mask:
    """Rows with more opening brackets than the allowed depth, wherever the brackets stand."""
    rows = len(column.bounds) - 1
    places = np.flatnonzero((column.data | 0x20) == 0x7B)  # [ and { differ from { in this bit only
    if len(places) <= max_depth:
        return np.zeros(rows, dtype=np.bool_)
    spans = places[max_depth:] - places[:-max_depth]
    if spans.min() >= np.diff(column.bounds).max():
        return np.zeros(rows, dtype=np.bool_)
    counts = np.diff(np.searchsorted(places, column.bounds))
    return np.asarray(counts > max_depth)
