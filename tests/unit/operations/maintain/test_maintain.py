"""Maintenance changes what a table costs and never what it says."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from stream_processor.errors import Fenced, TableRewound
from stream_processor.operations.dlq.replay_request import Doer, Surroundings
from stream_processor.operations.maintain import folding
from stream_processor.operations.maintain.report import MaintainReport
from stream_processor.operations.maintain.request import Budget, MaintainRequest
from stream_processor.operations.maintain.run import maintain
from stream_processor.sinks.delta_commit import commit
from stream_processor.sinks.delta_compact import compact, groups
from stream_processor.sinks.delta_desk import desk_id, write_id
from stream_processor.sinks.delta_restore import MAINTENANCE
from stream_processor.sinks.delta_turn import Turn
from tests.kill_points import Died, dies_at
from tests.letters import good
from tests.unit.operations.maintain.world import Later, Tended, of

MONTH = 31.0
STEPS = (
    "fold.before_step",
    "fold.after_step",
    "compact.turn_taken",
    "compact.before_step",
    "compact.after_step",
    "vacuum.before",
    "vacuum.after",
    "clean.after_chunk",
)


@pytest.fixture
def world(tmp_path: Path) -> Tended:
    return Tended(tmp_path)


def log(uri: str) -> list[str]:
    return sorted(each.name for each in (Path(uri) / "_delta_log").iterdir())


def ranges(world: Tended, uri: str | None = None) -> list[tuple[int, int, int, int]]:
    """(from, to, rows, commits) of what is kept, in the order of offsets."""
    table = DeltaTable(uri or world.tables.offsets).to_pyarrow_table()
    names = ("from_offset", "to_offset", "rows", "commits")
    return sorted(tuple(row[name] for name in names) for row in pa.table(table).to_pylist())


def test_small_files_become_few_and_the_rows_stay(world: Tended) -> None:
    """The stream goes on behind it on the handle that it holds, as if nothing had happened."""
    world.busy(12)
    rows, letters = world.rows(), world.letters()
    report = world.maintain("compact")
    assert (of(report, "rows").joined, of(report, "rows").made) == (12, 1)
    assert of(report, "dead letters").joined == 10  # of two days, one of which has few
    assert (world.rows(), world.letters()) == (rows, letters)
    world.busy(1)
    world.prove()


def test_an_append_on_a_handle_from_before_is_not_disturbed(world: Tended) -> None:
    """A running stream holds a handle: maintenance must cost it nothing, not even a batch."""
    world.busy(9)
    held = DeltaTable(world.tables.data)
    world.maintain("compact")
    commit(world.tables.data, held, None, {"orders/x/0": 1}, {"kind": "batch"})
    assert DeltaTable(world.tables.data).version() == held.version()


def test_a_step_is_one_partition_and_the_oldest_comes_first(tmp_path: Path) -> None:
    """The night's window is over: what is done stays done, and the next one goes on."""
    world = Tended(tmp_path, "")
    for _ in range(3):
        world.busy(8)
        world.later(16)
    budget = Budget(files=5)
    report = world.maintain(request=MaintainRequest(("compact",), budget))
    assert report.spent  # by the rows, which are one step
    for left in (16, 8, 0):
        letters = of(maintain_letters(world, MaintainRequest(("compact",), budget)), "dead letters")
        assert (letters.joined, letters.left) == (8, left)
    world.stop.set()
    world.busy(9)
    stopped = world.maintain("compact")
    assert (stopped.stopped, of(stopped, "rows").joined) == (True, 0)
    world.prove()


def maintain_letters(world: Tended, request: MaintainRequest) -> MaintainReport:
    """Only the dead letters."""
    places = [place for place in world.places() if place.name == "dead letters"]
    around = Surroundings(Doer("r-1", "tester"), Later(), world.stop)
    return maintain("orders", places, request, around)


def turn_of(world: Tended, run: str, days: float = 0.0) -> Turn:
    place = world.places()[0]
    return Turn(place.spec, place.store, run, Later(days).now)


def join(world: Tended, table: DeltaTable) -> None:
    (group,) = groups(world.tables.data, table)
    compact(world.tables.data, table, group, {"kind": MAINTENANCE})


def test_two_at_once_would_double_every_row(world: Tended) -> None:
    """Why there are turns: the library lets both succeed. When it does not any more, fewer words
    are needed."""
    world.busy(9)
    one, other = DeltaTable(world.tables.data), DeltaTable(world.tables.data)
    join(world, one)
    join(world, other)
    assert len(world.rows()) == 18


def test_of_two_maintenances_one_waits(world: Tended) -> None:
    """The timer of two machines, or a person beside the timer."""
    world.busy(9)
    first = turn_of(world, "r-1")
    first.take()
    report = world.maintain("compact")
    assert "another maintenance" in str(of(report, "rows").trouble)
    first.leave()
    assert of(world.maintain("compact"), "rows").joined == 9
    world.prove()


def test_whoever_sleeps_in_its_turn_is_fenced(world: Tended) -> None:
    """A machine that stood still for an hour must not join what another has joined meanwhile."""
    world.busy(9)
    sleeper = turn_of(world, "r-1")
    sleeper.take()
    asleep = sleeper.handle()
    assert of(world.maintain("compact", days=1), "rows").joined == 9
    with pytest.raises(Fenced):
        join(world, asleep)
    with pytest.raises(Fenced):
        sleeper.handle()
    sleeper.leave()
    world.prove()
    world.busy(9)
    assert of(world.maintain("compact", days=1), "rows").joined > 8
    world.prove()


def test_another_tool_at_the_same_moment_is_told(world: Tended) -> None:
    """It knows no turns, and the rows may be double: nobody shall find out by chance."""
    world.busy(9)
    elsewhere = DeltaTable(world.tables.data)

    def meanwhile(step: str) -> None:
        if step == "compact.after_step":
            elsewhere.optimize.compact()

    report = world.maintain("compact", kill_point=meanwhile)
    assert "another tool joined files" in str(of(report, "rows").trouble)
    assert world.verify().findings[0].kind == "double_row"


@pytest.mark.parametrize("wake", ["before the claim", "between claim and fence"])
def test_a_late_join_of_the_sleeper_is_seen(
    world: Tended, wake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lands while another takes over: the other looks at the table after the fence alone."""
    world.busy(9)
    sleeper, other = turn_of(world, "r-1"), turn_of(world, "r-2", days=1)
    sleeper.take()
    asleep = sleeper.handle()
    if wake == "before the claim":
        join(world, asleep)
        other.take()
    else:
        fence = other._fence

        def late() -> None:
            join(world, asleep)
            fence()

        monkeypatch.setattr(other, "_fence", late)
        other.take()
    assert groups(world.tables.data, other.handle()) == []
    other.leave()
    world.prove()


def test_ranges_are_kept_once_whoever_folds_and_however_often(
    world: Tended, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are the evidence of a log that is gone: each offset in exactly one of them."""
    monkeypatch.setattr(folding, "COMMITS_PER_STEP", 5)
    world.busy(8)
    for count in (1, 2, 1):
        with pytest.raises(Died):
            world.maintain("fold", kill_point=dies_at("fold.after_step", count))
        world.busy(1)
    world.maintain("fold")
    world.maintain("fold")
    kept = ranges(world)
    assert [each[0] for each in kept] == [0, *(each[1] for each in kept[:-1])]
    assert kept[-1][1] == 33
    assert sum(each[2] for each in kept) == 11
    assert sum(each[3] for each in kept) == 11


def test_only_what_is_folded_is_cleaned(world: Tended) -> None:
    """Evidence first: an entry of the log goes when what it says is somewhere else."""
    world.busy(12)
    before = log(world.tables.data)
    assert of(world.maintain("clean", days=MONTH), "rows").cleaned == 0
    assert log(world.tables.data) == before
    world.maintain("fold")
    assert of(world.maintain("clean", days=29), "rows").cleaned == 0
    cleaned = of(world.maintain("clean", days=MONTH), "rows").cleaned
    after = log(world.tables.data)
    assert cleaned == len(before) - len(after) >= 19
    assert ranges(world)[0][:2] == (0, 36)
    world.prove()
    world.busy(1)
    world.prove()


def test_the_proof_is_exact_after_everything(world: Tended) -> None:
    """A duplicate that is planted into a table whose log was cleaned is still found."""
    world.busy(12)
    world.maintain(days=MONTH)
    world.prove()
    table = DeltaTable(world.tables.data)
    rows = pa.table(table.to_pyarrow_table())
    row = rows.filter(pc.equal(rows["_kafka_offset"], 9))
    commit(world.tables.data, table, row, {}, {"kind": "batch"})
    report = world.verify()
    assert [(each.kind, each.examples) for each in report.findings] == [("double_row", (9,))]


@pytest.mark.parametrize("step", STEPS)
def test_a_death_at_any_step_costs_nothing(world: Tended, step: str) -> None:
    """Power goes away in the middle of the night's maintenance."""
    world.busy(12)
    retention = {"delta.deletedFileRetentionDuration": "interval 0 seconds"}
    DeltaTable(world.tables.data).alter.set_table_properties(retention)
    with pytest.raises(Died):
        world.maintain(days=MONTH, kill_point=dies_at(step))
    world.prove()
    world.busy(2)
    report = world.maintain(days=MONTH + 1)
    assert not report.troubled
    world.prove()
    assert ranges(world)[0][0] == 0
    assert sum(each[1] - each[0] for each in ranges(world)) == 42


def test_a_restore_is_not_buried(world: Tended) -> None:
    """Our own commit behind a RESTORE would make the stream go on behind rows that went back."""
    world.busy(9)
    DeltaTable(world.tables.data).restore(5)
    with pytest.raises(TableRewound):
        world.maintain()
    with pytest.raises(TableRewound):
        world.busy(1)


def test_maintenance_after_a_restore_hides_nothing(world: Tended) -> None:
    """It looked before, the restore came between, and then it made its commit."""
    world.busy(9)

    def restore(step: str) -> None:
        if step == "compact.before_step":
            DeltaTable(world.tables.data).restore(5)

    report = world.maintain("compact", kill_point=restore)
    assert of(report, "rows").joined or of(report, "rows").trouble
    with pytest.raises(TableRewound):
        world.busy(1)


def test_what_a_killed_replay_could_not_say_stays_readable(world: Tended) -> None:
    """The log and the files of its step alone tell which events it made rows."""
    world.busy(12)
    table = DeltaTable(world.tables.data)
    txns = {desk_id("orders"): 1, write_id("orders"): 1, f"{desk_id('orders')}#base": 1}
    commit(world.tables.data, table, None, txns, {"kind": "replay"})
    before = log(world.tables.data)
    report = of(world.maintain("fold", "vacuum", "clean", days=MONTH), "rows")
    assert report.held_back is not None
    assert (report.vacuumed, report.cleaned) == (0, 0)
    assert log(world.tables.data) == before


def test_a_stream_that_slept_through_a_cleaning_takes_over_anew(world: Tended) -> None:
    """Its handle is older than the log: the write must fail, never land at a version long gone."""
    world.busy(3)
    held = DeltaTable(world.tables.data)
    world.busy(9)
    world.maintain("fold", "clean", days=MONTH)
    assert f"{held.version():020}.json" not in log(world.tables.data)
    before = DeltaTable(world.tables.data).version()
    with pytest.raises(Exception, match="Delta library failed"):
        commit(world.tables.data, held, None, {"orders/x/0": 1}, {"kind": "batch"})
    assert DeltaTable(world.tables.data).version() == before
    world.stream(good(1))
    world.prove()


def test_vacuum_removes_what_compaction_left_after_the_tables_own_retention(
    world: Tended,
) -> None:
    """Readers of older versions keep the week that the table promises, and no more."""
    world.busy(9)
    world.maintain("compact")
    assert of(world.maintain("vacuum"), "rows").vacuumed == 0
    soon = {"delta.deletedFileRetentionDuration": "interval 0 seconds"}
    DeltaTable(world.tables.data).alter.set_table_properties(soon)
    assert world.plan().tables[0].unnamed == 9
    assert of(world.maintain("vacuum"), "rows").vacuumed == 9
    world.prove()


def test_a_table_that_others_left_without_checkpoint_gets_one(world: Tended) -> None:
    """Opening it reads every commit since the last one."""
    world.busy(10)
    for each in (Path(world.tables.data) / "_delta_log").glob("*checkpoint*"):
        each.unlink()
    assert world.plan().tables[0].since_checkpoint == 22
    with pytest.raises(Died):
        world.maintain("checkpoint", kill_point=dies_at("checkpoint.before"))
    assert of(world.maintain("checkpoint"), "rows").checkpoint
    assert world.plan().tables[0].since_checkpoint == 0
    world.prove()


def test_the_kept_ranges_are_kept_too(world: Tended) -> None:
    """A fold each minute is a file each minute."""
    for _ in range(8):
        world.busy(1)
        world.maintain("fold")
    report = world.maintain()
    assert (of(report, "ranges of rows").joined, of(report, "ranges of rows").folded) == (8, 0)
    assert [each[:2] for each in ranges(world)] == [(low, low + 3) for low in range(0, 24, 3)]
    world.prove()
