"""Sets of offsets as bits: what `verify` counts with. Pure.

A billion offsets are 125 MB. Bits live in pages that appear when an offset is met, so a topic with
a gap of any size costs nothing for the gap.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

Offsets = NDArray[np.int64]
Page = NDArray[np.uint8]

PAGE_OFFSETS = 1 << 20
_PAGE_SHIFT = 20
_EMPTY: Page = np.zeros(PAGE_OFFSETS // 8, np.uint8)
_EMPTY.flags.writeable = False
_BIT: Page = (1 << np.arange(8)).astype(np.uint8)


class OffsetSet:
    """A growing set of offsets >= 0, counted from where a partition began."""

    def __init__(self) -> None:
        self._pages: dict[int, Page] = {}

    def add(self, offsets: Offsets) -> Offsets:
        """Put offsets in, in any order; return each one that was in already, once per excess."""
        if len(offsets) == 0:
            return offsets
        steps = np.diff(offsets)
        twice = offsets[:0]
        if len(steps) and steps.min() <= 0:
            offsets = np.sort(offsets)
            same = np.diff(offsets) == 0
            twice = offsets[1:][same]
            offsets = offsets[np.concatenate(([True], ~same))]
        parts = _by_page(offsets)
        again = [self._add_to_page(int(part[0]) >> _PAGE_SHIFT, part) for part in parts]
        return np.concatenate([twice, *again])

    def page(self, number: int) -> Page:
        """The bits of the PAGE_OFFSETS offsets from number * PAGE_OFFSETS on; read only."""
        return self._pages.get(number, _EMPTY)

    def page_numbers(self) -> frozenset[int]:
        """Which pages hold anything."""
        return frozenset(self._pages)

    def __len__(self) -> int:
        return sum(count(page) for page in self._pages.values())

    def _add_to_page(self, number: int, offsets: Offsets) -> Offsets:
        page = self._pages.get(number)
        if page is None:
            page = self._pages[number] = np.zeros(PAGE_OFFSETS // 8, np.uint8)
        local = (offsets & (PAGE_OFFSETS - 1)).astype(np.int32)
        places = local >> 3
        first = np.flatnonzero(np.diff(places, prepend=-1))
        bits = np.bitwise_or.reduceat(_BIT[local & 7], first)
        places = places[first]
        before = page[places]
        page[places] = before | bits
        # AND before OR: what stood there already is a duplicate. Nearly always nothing.
        both = before & bits
        if not both.any():
            return offsets[:0]
        scratch = np.zeros(PAGE_OFFSETS // 8, np.uint8)
        scratch[places] = both
        return members(scratch, number)


def count(page: Page) -> int:
    """How many bits are set."""
    return int(np.bitwise_count(page.view(np.uint64)).sum())


def members(page: Page, number: int) -> Offsets:
    """The offsets whose bits are set in this page, ascending."""
    return np.flatnonzero(np.unpackbits(page, bitorder="little")) + number * PAGE_OFFSETS


def within(number: int, span: int) -> Page:
    """A page with the bits of all offsets < span set."""
    size = min(max(span - number * PAGE_OFFSETS, 0), PAGE_OFFSETS)
    if size == PAGE_OFFSETS:
        return ~_EMPTY
    page = np.zeros(PAGE_OFFSETS // 8, np.uint8)
    page[: size // 8] = 0xFF
    if size % 8:
        page[size // 8] = (1 << (size % 8)) - 1
    return page


def ranges(page: Page, number: int) -> Iterator[tuple[int, int]]:
    """The runs of set bits as [begin, end), ascending."""
    found = members(page, number)
    if len(found) == 0:
        return
    breaks = np.flatnonzero(np.diff(found) != 1)
    begins = found[np.concatenate(([0], breaks + 1))]
    ends = found[np.concatenate((breaks, [len(found) - 1]))] + 1
    yield from zip(begins.tolist(), ends.tolist(), strict=True)


def without(
    these: Iterable[tuple[int, int]], known: Iterable[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """What is left of `these` ascending ranges where the `known` ones, in any order, are not."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(known):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    for begin, end in these:
        at = begin
        place = bisect_right(merged, begin, key=itemgetter(1))
        while place < len(merged) and merged[place][0] < end:
            low, high = merged[place]
            if at < low:
                yield at, low
            at, place = high, place + 1
        if at < end:
            yield at, end


def _by_page(offsets: Offsets) -> list[Offsets]:
    pages = offsets >> _PAGE_SHIFT
    if pages[0] == pages[-1]:
        return [offsets]
    return np.split(offsets, np.flatnonzero(np.diff(pages)) + 1)
