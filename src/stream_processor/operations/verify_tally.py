"""The account of one partition: which offsets are where, and what that comes to. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from stream_processor.operations.verify_offsets import (
    PAGE_OFFSETS,
    Offsets,
    OffsetSet,
    Page,
    members,
    ranges,
    within,
)
from stream_processor.operations.verify_offsets import (
    count as bits,
)
from stream_processor.operations.verify_report import DOUBLE, Finding, PartitionReport
from stream_processor.ports import Partition, Position

EXAMPLES_MAX = 10

UNRECORDED = "unrecorded"
"""Beside the actions of the ledger: a row by a replay that has not named it there yet."""

_REPLAYED = ("replayed",)
_ACCOUNTED = ("replayed", "purged", "erased")


class Tally:
    """Collects the offsets of one partition from the tables, then says how they add up.

    `position` is what the data table says of it; `dead_upto` how far the dead letter table is.
    All sets count from `position.start`, so that a topic that was joined late costs no memory.
    """

    def __init__(self, partition: Partition, position: Position, dead_upto: int) -> None:
        self.partition = partition
        self.position = position
        self._dead_upto = max(dead_upto, position.next_offset)
        self._rows = OffsetSet()
        self._dead = OffsetSet()
        self._pending = OffsetSet()
        self._ledger = {action: OffsetSet() for action in (*_ACCOUNTED, UNRECORDED)}
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, list[int]] = {}

    def add_rows(self, offsets: Offsets) -> None:
        """Offsets that stand in the data table."""
        inside = self._inside(offsets, self.position.next_offset, "row_outside")
        self._find("double_row", self._rows.add(inside))

    def add_dead_letters(self, offsets: Offsets) -> None:
        """Offsets that stand in the dead letter table; beyond the data they are pending."""
        inside = self._inside(offsets, self._dead_upto, "dead_letter_outside")
        done = inside < self._span
        self._find("double_dead_letter", self._dead.add(inside[done]))
        self._find("double_dead_letter", self._pending.add(inside[~done]))

    def add_ledger(self, offsets: Offsets, action: str | None) -> None:
        """Offsets of ledger rows; any number of rows per offset is fine."""
        if action in self._ledger:
            shifted = offsets - self.position.start
            self._ledger[action].add(shifted[(shifted >= 0) & (shifted < self._span)])

    def _find(self, kind: str, offsets: Offsets) -> None:
        """Note offsets, counted from the start, that must not be."""
        if len(offsets):
            self._counts[kind] += len(offsets)
            examples = self._examples.setdefault(kind, [])
            wanted = offsets[: EXAMPLES_MAX - len(examples)] + self.position.start
            examples.extend(wanted.tolist())

    def exemplify(self, kind: str, offsets: list[int]) -> None:
        """Name offsets for a finding whose number comes from elsewhere."""
        self._examples[kind] = offsets

    def count(self, kind: str, number: int) -> None:
        """Note a finding of which only the number is known."""
        self._counts[kind] += number

    def uncovered(self) -> Iterator[tuple[int, int]]:
        """Ranges of [start, next) that no table holds: holes, skips, and what was lost."""
        start, held = self.position.start, frozenset(self._page_numbers())
        for number in range(-(-self._span // PAGE_OFFSETS)):
            if number not in held:
                begin = number * PAGE_OFFSETS
                yield begin + start, min(begin + PAGE_OFFSETS, self._span) + start
                continue
            nowhere = within(number, self._span) & ~self._covered(number)
            for begin, end in ranges(nowhere, number):
                yield begin + start, end + start

    def close(self, unchecked: int | None = None) -> tuple[PartitionReport, list[Finding]]:
        """The account. Call once, after everything was added."""
        covered = replayed = unrecorded = ledger = 0
        for number in self._page_numbers():
            rows, dead = self._rows.page(number), self._dead.page(number)
            both = rows & dead
            on_record = self._recorded(number, _REPLAYED)
            by_log = self._recorded(number, (UNRECORDED,)) & ~on_record
            self._find("double_both", members(both & ~(on_record | by_log), number))
            replayed += bits(both & on_record)
            unrecorded += bits(both & by_log)
            everywhere = self._covered(number)
            covered += bits(everywhere)
            ledger += bits(everywhere & ~(rows | dead))
        rest = self._span - covered - self._counted()
        self._counts["lost"] += max(rest, 0)
        self._counts["surplus"] += max(-rest, 0)
        report = replace(self._report(replayed, ledger, unchecked), unrecorded=unrecorded)
        return report, list(self._findings())

    def lost(self) -> int:
        """How many offsets nothing accounts for; less than 0 when counters say too much."""
        covered = sum(bits(self._covered(number)) for number in self._page_numbers())
        return self._span - covered - self._counted()

    @property
    def _span(self) -> int:
        return self.position.next_offset - self.position.start

    def _counted(self) -> int:
        return self.position.holes + self.position.skipped + self.position.expired

    def _inside(self, offsets: Offsets, upto: int, otherwise: str) -> Offsets:
        shifted = offsets - self.position.start
        inside = (shifted >= 0) & (shifted < upto - self.position.start)
        if inside.all():
            return shifted
        self._find(otherwise, np.sort(shifted[~inside]))
        return shifted[inside]

    def _page_numbers(self) -> list[int]:
        sets = (self._rows, self._dead, *self._ledger.values())
        return sorted(frozenset().union(*(each.page_numbers() for each in sets)))

    def _recorded(self, number: int, actions: tuple[str, ...]) -> Page:
        found: Page = np.bitwise_or.reduce([self._ledger[a].page(number) for a in actions])
        return found

    def _covered(self, number: int) -> Page:
        found = self._rows.page(number) | self._dead.page(number)
        return found | self._recorded(number, _ACCOUNTED)

    def _report(self, replayed: int, ledger: int, unchecked: int | None) -> PartitionReport:
        return PartitionReport(
            topic=self.partition.topic,
            topic_id=self.partition.topic_id,
            partition=self.partition.partition,
            start=self.position.start,
            upto=self.position.next_offset,
            rows=len(self._rows),
            dead_letters=len(self._dead),
            replayed=replayed,
            ledger=ledger,
            skipped=self.position.skipped,
            holes=self.position.holes,
            expired=self.position.expired,
            pending=len(self._pending),
            lost=self._counts["lost"],
            double=sum(self._counts[kind] for kind in DOUBLE),
            unchecked=unchecked,
        )

    def _findings(self) -> Iterator[Finding]:
        part = self.partition
        for kind, number in self._counts.items():
            if number:
                examples = tuple(self._examples.get(kind, ()))
                yield Finding(kind, part.topic, part.topic_id, part.partition, number, examples)
