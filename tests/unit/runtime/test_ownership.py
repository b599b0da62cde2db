"""What a take-over must refuse, on tables in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stream_processor.errors import TableReplaced, TableRewound
from stream_processor.ports import Advance, Decisions, Memory
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
