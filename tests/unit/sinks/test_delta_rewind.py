"""Accepting that a table was restored: offsets go back with the rows, once, and for all of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from deltalake import DeltaTable

from stream_processor.ports import Advance, Decisions, Partition, Position
from tests.contracts.sink_adapters import P0, P1, Tables, delta_tables, rows

LATER = Partition("added", "topic-id-2", 0)


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    """Both tables, for writers that accept a rewind."""
    return delta_tables(str(tmp_path), decisions=Decisions(accept_rewind=True))


def test_a_second_writer_does_not_move_offsets_back_again(tables: Tables, tmp_path: Path) -> None:
    """Two processes accept one rewind: the loser must not repeat it behind the winner's rows."""
    first, second = tables.sink(), tables.sink()
    first.remembered()
    first.claim({P0, P1}, {P0: Position(0), P1: Position(5, start=5)})
    stood = DeltaTable(str(tmp_path / "data")).version()
    first.write(rows(P0, 0), {P0: Advance(0, 1, rows=1)})
    DeltaTable(str(tmp_path / "data")).restore(stood)
    first.remembered()
    second.remembered()
    first.claim({P0}, {})
    first.write(rows(P0, 0, 1), {P0: Advance(0, 2, rows=2)})
    second.remembered()
    second.claim({P1}, {})
    assert tables.sink().remembered().positions[P0.key].next_offset == 2
    first.write(rows(P0, 2), {P0: Advance(2, 3, rows=1)})


def test_what_the_restored_version_did_not_know_begins_again(
    tables: Tables, tmp_path: Path
) -> None:
    """All rows of such a partition went with the restore: going on behind them would lose them."""
    sink = tables.sink()
    sink.remembered()
    sink.claim({P0}, {P0: Position(0)})
    stood = DeltaTable(str(tmp_path / "data")).version()
    sink.remembered()
    sink.claim({LATER}, {LATER: Position(3, start=3)})
    sink.write(rows(LATER, 3), {LATER: Advance(3, 9, rows=1, hole_ranges=((4, 9),))})
    DeltaTable(str(tmp_path / "data")).restore(stood)
    found = sink.remembered().positions[LATER.key]
    assert found == Position(3, epoch=1, start=3)
