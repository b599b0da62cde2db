"""What a take-over must refuse, on tables in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import pytest

from stream_processor.errors import TableReplaced, TableRewound
from stream_processor.ports import Advance, Decisions, Memory, Partition
from stream_processor.runtime.ownership import Terms, take_over
from stream_processor.sinks.memory import MemoryDeadLetters, MemorySink, MemoryTable
from stream_processor.sources.memory import Event, MemoryLog, MemorySource
from tests.contracts.sink_adapters import P0, rows


class World:
    """One partition of ten events, of which the tables hold the first four."""

    def __init__(self) -> None:
        self.source = MemorySource(MemoryLog.of([Event(P0, n, b"{}") for n in range(10)]))
        self.data, self.letters = MemoryTable(), MemoryTable()
        self.take_over()
        self.sink.write(rows(P0, 0, 1, 2, 3), {P0: Advance(0, 4, rows=4)})

    def take_over(self, decisions: Decisions | None = None) -> None:
        self.sink, self.dead = MemorySink(self.data), MemoryDeadLetters(self.letters)
        terms = Terms(decisions or Decisions(), by_pattern=False)
        take_over(self.source, self.sink, self.dead, terms)


A0, B0 = Partition("a", "id-a", 0), Partition("b", "id-b", 0)


class Half(MemorySource):
    """Owns one of two topics that a pattern finds; the start policy is latest."""

    mine = A0

    def assignment(self) -> frozenset[Partition]:
        super().assignment()
        return frozenset({self.mine})

    def anchors(self, topics: Collection[str]) -> Mapping[Partition, int]:
        return {part: self.watermarks([part])[part][1] for part in super().anchors(topics)}


def test_latest_holds_for_the_topics_of_other_processes_too() -> None:
    """On a first start two processes share the topics of a pattern: the second one must not take
    its own for topics that were found later, which begin at their beginning."""
    log = MemoryLog.of([Event(part, n, b"{}") for part in (A0, B0) for n in range(5)])
    data, letters = MemoryTable(), MemoryTable()
    found = {}
    for mine in (A0, B0):
        source = Half(log)
        source.mine = mine
        sink, dead = MemorySink(data), MemoryDeadLetters(letters)
        found |= take_over(source, sink, dead, Terms(Decisions(), by_pattern=True))
    assert {part: at.next_offset for part, at in found.items()} == {A0: 5, B0: 5}
    log.script.append(Event(Partition("c", "id-c", 0), 0, b"{}"))
    later = Half(log)
    later.mine = Partition("c", "id-c", 0)
    terms = Terms(Decisions(), by_pattern=True)
    took = take_over(later, MemorySink(data), MemoryDeadLetters(letters), terms)
    assert [at.next_offset for at in took.values()] == [0]


def test_a_dead_letter_table_that_was_replaced_is_noticed() -> None:
    """A mistyped `dlq.table` must not silently begin a second table beside the first."""
    world = World()
    world.letters = MemoryTable()
    with pytest.raises(TableReplaced, match="dead letter table knows nothing"):
        world.take_over()
    world.take_over(Decisions(reset=True))


def test_a_dead_letter_table_that_was_restored_alone_cannot_be_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The dead letters since then would be in neither table, whatever a person accepts."""
    world = World()
    remembered = MemoryDeadLetters.remembered

    def restored(sink: MemoryDeadLetters) -> Memory:
        return replace(remembered(sink), rewound=True)

    monkeypatch.setattr(MemoryDeadLetters, "remembered", restored)
    with pytest.raises(TableRewound, match="in neither"):
        world.take_over(Decisions(accept_rewind=True))
