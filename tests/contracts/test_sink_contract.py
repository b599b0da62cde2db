"""What every sink promises, whatever holds its table: memory, a local folder, MinIO."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream_processor.errors import Fenced, InternalError
from stream_processor.ports import Advance, Position
from tests.contracts.sink_adapters import P0, P1, Tables, dead, delta_tables, memory_tables, rows

ANCHORS = {P0: Position(next_offset=0, start=0), P1: Position(next_offset=5, start=5)}


@pytest.fixture(params=["memory", "delta on local disk"])
def tables(request: pytest.FixtureRequest, tmp_path: Path) -> Tables:
    """The adapters that need no server; MinIO runs the same suite in the integration tests."""
    if request.param == "memory":
        return memory_tables()
    return delta_tables(str(tmp_path))


def test_a_first_claim_writes_the_anchors_of_all_partitions(tables: Tables) -> None:
    """A second process on a first start must read them, not resolve its own."""
    sink = tables.sink()
    assert sink.remembered().positions == {}
    claimed = sink.claim({P0}, ANCHORS)
    assert claimed == {P0: Position(next_offset=0, start=0, epoch=1)}
    found = tables.sink().remembered()
    assert found.positions[P1.key].next_offset == 5
    assert found.positions[P1.key].start == 5
    assert found.topics == {"orders": ("topic-id-1",)}


def test_a_batch_moves_the_offsets_and_all_counters(tables: Tables) -> None:
    """Rows, position, holes and skips are one commit, or the proof does not add up."""
    sink = tables.sink()
    sink.remembered()
    sink.claim({P0, P1}, ANCHORS)
    advance = Advance(0, 9, rows=2, skipped={"tombstone": 3}, hole_ranges=((5, 8),), dead=1)
    sink.write(rows(P0, 0, 1), {P0: advance})
    after = tables.sink().remembered().positions
    assert after[P0.key] == Position(next_offset=9, epoch=1, start=0, holes=3, skipped=3)
    assert after[P1.key].next_offset == 5
    assert tables.stored() == [(0, 0), (0, 1)]


def test_offsets_move_without_rows(tables: Tables) -> None:
    """A batch of dead letters only, or of markers only, must not stand still for ever."""
    sink = tables.sink()
    sink.remembered()
    sink.claim({P0}, ANCHORS)
    sink.write(rows(P0), {P0: Advance(0, 7, dead=7)})
    assert tables.sink().remembered().positions[P0.key].next_offset == 7


def test_a_newer_claim_fences_the_older_writer(tables: Tables) -> None:
    """A zombie that wakes up after its partitions moved must not write a single row."""
    old, new = tables.sink(), tables.sink()
    old.remembered()
    old.claim({P0, P1}, ANCHORS)
    new.remembered()
    new.claim({P1}, {})
    with pytest.raises(Fenced):
        old.write(rows(P0, 0), {P0: Advance(0, 1, rows=1)})
    new.write(rows(P1, 5), {P1: Advance(5, 6, rows=1)})
    assert tables.stored() == [(1, 5)]


def test_writers_of_other_partitions_do_not_disturb(tables: Tables) -> None:
    """Two processes share a table: each has its own partitions, both must get on."""
    first, second = tables.sink(), tables.sink()
    first.remembered()
    first.claim({P0}, ANCHORS)
    second.remembered()
    second.claim({P1}, {})
    for n in range(3):
        first.write(rows(P0, n), {P0: Advance(n, n + 1, rows=1)})
        second.write(rows(P1, n + 5), {P1: Advance(n + 5, n + 6, rows=1)})
    assert tables.stored() == [(0, 0), (0, 1), (0, 2), (1, 5), (1, 6), (1, 7)]


def test_of_two_first_claims_one_loses(tables: Tables) -> None:
    """The loser reads the winner's anchors, so `latest` means one moment for all."""
    first, second = tables.sink(), tables.sink()
    first.remembered()
    second.remembered()
    first.claim({P0}, ANCHORS)
    with pytest.raises(Fenced):
        second.claim({P1}, {P0: Position(100), P1: Position(100)})
    assert second.remembered().positions[P1.key].next_offset == 5


def test_a_recheck_sees_a_newer_epoch(tables: Tables) -> None:
    """Without it two owners could each fence one of the two tables (a.6)."""
    old, new = tables.sink(), tables.sink()
    old.remembered()
    old.claim({P0}, ANCHORS)
    old.recheck()
    new.remembered()
    new.claim({P0}, {})
    with pytest.raises(Fenced):
        old.recheck()
    new.recheck()


def test_a_batch_that_does_not_fit_is_our_mistake(tables: Tables) -> None:
    """Offsets that do not follow on would lose or double events; nothing may be written."""
    sink = tables.sink()
    sink.remembered()
    sink.claim({P0}, ANCHORS)
    with pytest.raises(InternalError):
        sink.write(rows(P0, 3), {P0: Advance(3, 4, rows=1)})
    with pytest.raises(InternalError):
        sink.write(rows(P1, 5), {P1: Advance(5, 6, rows=1)})
    assert tables.stored() == []


def test_dead_letters_remember_what_waits_for_its_data_half(tables: Tables) -> None:
    """After a crash between the two commits the restart holds back exactly these offsets."""
    letters = tables.dead_letters()
    letters.remembered()
    letters.claim({P0, P1}, ANCHORS)
    letters.write(dead(P0), {P0: Advance(0, 4, rows=4)})
    assert tables.dead_letters().remembered().positions[P0.key].next_offset == 0
    letters.write(dead(P0, 5, 8), {P0: Advance(4, 10, rows=4, dead=2)})
    after = tables.dead_letters()
    assert after.remembered().positions[P0.key].next_offset == 10
    after.claim({P0, P1}, {})
    assert after.held_offsets({P0: 4, P1: 0}) == {P0: frozenset({5, 8}), P1: frozenset()}
    assert after.held_offsets({P0: 6}) == {P0: frozenset({8})}
