"""Cheap tests of a whole column of values: which ones need a closer look before they are decoded?

They may suspect a good value, but never pass one that breaks the rules of records.md, 2, beyond
what decoding itself refuses: UTF-8, depth and size are what a decoder cannot be trusted with.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from stream_processor.processor.plan import PlanOptions

Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]

Bytes = np.ndarray[tuple[int], np.dtype[np.uint8]]
Indexes = np.ndarray[tuple[int], np.dtype[np.int64]]

_BLOCK = 2**16  # small enough for the cache: memory fresh from the system costs more than the work
_PIECE = 256  # rows: one broken text among thousands must not make each of them be decoded
_OPENINGS = np.zeros(256, dtype=np.bool_)
_OPENINGS[list(b"{ \t\n\r")] = True


class Screening(NamedTuple):
    """`suspect`: the exact rules must judge the text; `bracketed`: only its depth is in doubt."""

    suspect: Mask
    bracketed: Mask


class _Column(NamedTuple):
    """The bytes of all values in one piece and where each begins (one more at the end)."""

    data: Bytes
    bounds: Indexes


def screen(values: pa.BinaryArray, options: PlanOptions) -> Screening:
    """Look at all values at once. Called by the kernel for each slice of a batch."""
    column = _column(values)
    lengths = np.diff(column.bounds)
    suspect = (lengths == 0) | (lengths > options.max_record_bytes)
    filled = np.flatnonzero(lengths)
    suspect[filled[~_OPENINGS[column.data[column.bounds[filled]]]]] = True
    suspect[_not_utf8(values)] = True
    return Screening(suspect, _bracketed(column, options.max_depth))


def _column(values: pa.BinaryArray) -> _Column:
    if not len(values):
        return _Column(np.zeros(0, np.uint8), np.zeros(1, np.int64))
    _, offsets, data = values.buffers()
    bounds = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values) + 1]
    whole = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return _Column(whole[bounds[0] : bounds[-1]], bounds.astype(np.int64) - bounds[0])


def _not_utf8(values: pa.BinaryArray) -> list[int]:
    """Rows that are not UTF-8, looked for in the pieces that Arrow refuses."""
    if not _refused(values):
        return []
    return [
        begin + row
        for begin in range(0, len(values), _PIECE)
        if _refused(piece := values.slice(begin, _PIECE))
        for row, value in enumerate(piece.to_pylist())
        if value and not _is_utf8(value)
    ]


def _refused(values: pa.BinaryArray) -> bool:
    try:
        values.cast(pa.string())
    except pa.ArrowInvalid:
        return True
    return False


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _bracketed(column: _Column, max_depth: int) -> Mask:
    """Rows with more opening brackets than the allowed depth, wherever the brackets stand."""
    rows = len(column.bounds) - 1
    places = _openings(column.data)
    if len(places) <= max_depth:
        return np.zeros(rows, dtype=np.bool_)
    spans = places[max_depth:] - places[:-max_depth]
    if spans.min() >= np.diff(column.bounds).max():
        return np.zeros(rows, dtype=np.bool_)
    counts = np.diff(np.searchsorted(places, column.bounds))
    return np.asarray(counts > max_depth)


def _openings(data: Bytes) -> Indexes:
    """Where [ and { stand: they are the two bytes that are { once this bit is set."""
    found = [
        begin + np.flatnonzero((data[begin : begin + _BLOCK] | 0x20) == 0x7B)
        for begin in range(0, len(data), _BLOCK)
    ]
    return np.concatenate(found) if found else np.zeros(0, np.int64)
