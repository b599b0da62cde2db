"""Old dead letters leave their table only after they are safe elsewhere, wherever it is killed."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stream_processor.errors import Fenced, StoreUnavailable, StreamProcessorError
from stream_processor.operations.dlq.keepers import Keepers, keepers_of
from stream_processor.operations.dlq.purge import (
    PurgeReport,
    PurgeRequest,
    plan_purge,
    purge,
)
from stream_processor.operations.dlq.removal import RANGES_MAX, steps
from stream_processor.operations.dlq.replay_request import Doer, Surroundings
from stream_processor.operations.dlq.selection import Selector
from stream_processor.ports import KillPoint, ObjectStore, Partition, never
from stream_processor.schema import records
from tests.audit import Tables, audit
from tests.kill_points import Died, dies_at
from tests.letters import NOW, P0, Letters, broken, good

ALL = ("replayed", "ignored", "open")
ENDED = datetime.fromtimestamp(NOW, UTC) + timedelta(days=300)


class Later:
    """A clock of long after the stream has ended: no step waits for it."""

    def now(self) -> float:
        return NOW + 3e7

    def monotonic(self) -> float:
        return 0.0


def around(kill_point: KillPoint = never) -> Surroundings:
    return Surroundings(Doer("r-1", "tester"), Later(), threading.Event(), kill_point)


def keepers(made: Letters, kill_point: KillPoint = never) -> Keepers:
    return keepers_of(made.loaded(), "r-1", kill_point)


def run(
    made: Letters, request: PurgeRequest | None = None, kill_point: KillPoint = never
) -> PurgeReport:
    request = request or PurgeRequest(Selector(), ENDED, ALL)
    return purge(keepers(made, kill_point), request, around(kill_point))


def world(folder: Path) -> Letters:
    """Day one: 0 a row, 1 to 4 dead; day two: 5 to 7 dead, 8 a row. 2 and 6 are ignored."""
    made = Letters(folder)
    made.stream(good(0), b"{", broken(2), broken(3), b"\xff")
    made.later(24)
    made.stream(broken(5), broken(6), b"{", good(8))
    made.act("ignored", 2, 6)
    return made


def archived(made: Letters) -> list[dict[str, Any]]:
    folder = Path(f"{made.tables.dead_letters}_archive")
    files = [pq.ParquetFile(path).read() for path in sorted(folder.rglob("*.parquet"))]
    return [row for file in files for row in file.to_pylist()] if files else []


def offsets(rows: list[dict[str, Any]]) -> list[int]:
    return sorted(row["offset"] for row in rows)


def assert_accounted(made: Letters) -> None:
    assert made.verify().clean, made.verify().findings
    audit(Tables("orders", made.tables.data, made.tables.dead_letters))


def test_settled_letters_go_and_open_ones_stay(tmp_path: Path) -> None:
    """What nobody has looked at yet is the reason for the table."""
    made = world(tmp_path)
    before = made.letters()
    report = run(made, PurgeRequest(Selector(), ENDED))
    assert (report.purged, len(report.files)) == (2, 2)
    assert offsets(made.letters()) == [1, 3, 4, 5, 7]
    kept = archived(made)
    assert offsets(kept) == [2, 6]
    assert [a["action"] for row in kept for a in row.pop("actions")] == ["ignored"] * 2
    assert sorted(kept, key=lambda row: row["offset"]) == [before[1], before[5]]
    purged = [row for row in made.actions() if row["action"] == "purged"]
    assert {row["target"] for row in purged} == set(report.files)
    assert {row["actor"] for row in purged} == {"tester"}
    assert_accounted(made)


def test_the_plan_says_what_happens_and_does_nothing(tmp_path: Path) -> None:
    """A person reads it before anything is removed, so it must be what is done."""
    made = world(tmp_path)
    plan = plan_purge(keepers(made), PurgeRequest(Selector(), ENDED))
    assert [(day.day.isoformat(), day.by_status) for day in plan.days] == [
        ("2026-09-21", {"ignored": 1}),
        ("2026-09-22", {"ignored": 1}),
    ]
    assert plan.left == {"open": 5}
    assert sum(day.value_bytes for day in plan.days) == 2 * len(broken(2))
    assert plan.archive == f"{made.tables.dead_letters}_archive"
    assert len(made.letters()) == 7
    assert not archived(made)


@pytest.mark.parametrize(
    ("request_", "left"),
    [
        (PurgeRequest(Selector(code="json.syntax"), ENDED, ALL), [2, 3, 4, 5, 6]),
        (PurgeRequest(Selector(), datetime(2026, 9, 22, tzinfo=UTC), ALL), [5, 6, 7]),
        (PurgeRequest(Selector(until=datetime(2026, 9, 22, tzinfo=UTC)), ENDED, ALL), [5, 6, 7]),
        (PurgeRequest(Selector(offsets=(3, 6)), ENDED, ALL), [1, 2, 7]),
        (PurgeRequest(Selector(), ENDED, ALL), []),
    ],
)
def test_only_what_is_selected_goes(
    tmp_path: Path, request_: PurgeRequest, left: list[int]
) -> None:
    """A letter too many that is removed is evidence that somebody needed."""
    made = world(tmp_path)
    run(made, request_)
    assert offsets(made.letters()) == left
    assert offsets(archived(made)) == [o for o in range(1, 8) if o not in left]
    assert_accounted(made)


STEPS = ["purge.before_archive", "purge.archived", "purge.recorded", "purge.removed"]
STEPS += ["desk.before_step", "desk.after_step"]


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("step", STEPS)
def test_killed_anywhere_and_run_again_it_is_done_once(
    tmp_path: Path, step: str, count: int
) -> None:
    """Between archive, ledger and table every order is possible; nothing may be in none of them."""
    made = world(tmp_path)
    try:
        run(made, kill_point=dies_at(step, count))
    except Died:
        there = {*offsets(made.letters()), *offsets(archived(made))}
        assert there == {1, 2, 3, 4, 5, 6, 7}
        assert_accounted(made)
        made.stream(good(9), broken(10))
        assert_accounted(made)
        run(made)
    assert [row for row in offsets(made.letters()) if row < 8] == []
    assert {*offsets(archived(made))} - {10} == {1, 2, 3, 4, 5, 6, 7}  # some of them twice
    assert_accounted(made)


def test_what_a_killed_purge_left_behind_goes_even_if_not_selected(tmp_path: Path) -> None:
    """By the ledger it is purged: whoever lists the table must not find it for ever."""
    made = world(tmp_path)
    with pytest.raises(Died):
        run(made, kill_point=dies_at("purge.recorded"))
    assert offsets(made.letters()) == [1, 2, 3, 4, 5, 6, 7]
    request = PurgeRequest(Selector(), ENDED, ("replayed",))
    assert plan_purge(keepers(made), request).unfinished_letters == 4
    assert run(made, request).completed == 4
    assert offsets(made.letters()) == [5, 6, 7]
    assert_accounted(made)


def test_a_letter_whose_batch_is_half_written_stays(tmp_path: Path) -> None:
    """The restart asks the table what it holds: without it, the event would be read again."""
    made = world(tmp_path)
    made.half_written(broken(9))
    plan = plan_purge(keepers(made), PurgeRequest(Selector(), ENDED, ALL))
    assert plan.left == {"pending": 1}
    assert run(made).purged == 7
    assert offsets(made.letters()) == [9]
    made.stream(good(10))
    assert offsets(made.letters()) == [9]
    assert_accounted(made)


def test_an_archive_that_does_not_read_back_stops_everything(tmp_path: Path) -> None:
    """A store that lost or changed the only copy is found out while the original is there."""
    made = world(tmp_path)

    class Forgetful:
        """A store that keeps half of what it is given."""

        def __getattr__(self, name: str) -> object:
            return getattr(keepers(made).archive.store, name)

        def put_if_absent(self, key: str, data: bytes) -> bool:
            return bool(keepers(made).archive.store.put_if_absent(key, data[: len(data) // 2]))

    ours = keepers(made)
    broken_archive = replace(
        ours, archive=replace(ours.archive, store=cast("ObjectStore", Forgetful()))
    )
    with pytest.raises(StoreUnavailable, match="does not read back"):
        purge(broken_archive, PurgeRequest(Selector(), ENDED, ALL), around())
    assert len(made.letters()) == 7
    assert [row["action"] for row in made.actions()] == ["ignored"] * 2


def test_it_ends_between_two_steps_when_asked_to(tmp_path: Path) -> None:
    """Ctrl-C of a long purge leaves whole steps: what is archived and named is removed too."""
    made = world(tmp_path)
    stop = threading.Event()

    def asked(step: str) -> None:
        if step == "purge.recorded":
            stop.set()

    surroundings = Surroundings(Doer("r-1", "tester"), Later(), stop, asked)
    report = purge(keepers(made), PurgeRequest(Selector(), ENDED, ALL), surroundings)
    assert (report.purged, report.stopped) == (4, True)
    assert offsets(made.letters()) == [5, 6, 7]
    assert offsets(archived(made)) == [1, 2, 3, 4]
    assert_accounted(made)
    assert run(made).purged == 3


def test_a_newer_job_ends_an_older_purge(tmp_path: Path) -> None:
    """Two that remove at once would each believe that the other's letters are still theirs."""
    made = world(tmp_path)

    def taken(step: str) -> None:
        if step == "purge.recorded":
            keepers(made).desk.claim("replay")

    with pytest.raises(Fenced, match="has the desk now"):
        run(made, kill_point=taken)
    assert len(made.letters()) == 7
    run(made)
    assert made.letters() == []
    assert_accounted(made)


def test_nothing_is_purged_while_a_replay_is_not_on_record(tmp_path: Path) -> None:
    """The ledger calls such a record open, and it is a row: nobody could tell any more."""
    made = world(tmp_path)
    other = keepers(made)
    other.desk.claim("replay")
    other.desk.write(None, {"kind": "replay"})
    with pytest.raises(StreamProcessorError, match="before it could say") as raised:
        run(made)
    assert "dlq replay" in raised.value.hint
    assert len(made.letters()) == 7


def test_a_selector_that_finds_nothing_says_so(tmp_path: Path) -> None:
    """A typing error must not look like a clean table."""
    made = world(tmp_path)
    with pytest.raises(StreamProcessorError, match="no dead letter"):
        run(made, PurgeRequest(Selector(code="json.sintax"), ENDED, ALL))


def letters_at(*offsets: int, partition: Partition = P0) -> pa.RecordBatch:
    fields = [records.DEAD_LETTER.field(n) for n in ("dlq_id", "topic", "topic_id")]
    fields += [records.DEAD_LETTER.field(n) for n in ("partition", "offset")]
    rows = [
        dict(
            zip(
                (field.name for field in fields),
                (f"{n:032x}", partition.topic, partition.topic_id, partition.partition, n),
                strict=True,
            )
        )
        for n in offsets
    ]
    return pa.RecordBatch.from_pylist(rows, schema=pa.schema(fields))


def test_neighbours_are_one_range_and_many_ranges_are_many_steps() -> None:
    """A predicate is bounded: the Delta library dies of a large one."""
    day = date(2026, 9, 21)
    letters = letters_at(*range(0, 40, 2), 100, 101)
    chosen = letters["dlq_id"].take(pa.array([0, 1, 2, 20, 21]))
    [one] = steps(letters, day, chosen)
    assert '("offset" >= 0 AND "offset" <= 4)' in one.text
    assert '("offset" >= 100 AND "offset" <= 101)' in one.text
    many = letters_at(*range(4 * RANGES_MAX))
    every_other = many["dlq_id"].take(pa.array(range(0, 4 * RANGES_MAX, 2)))
    assert len(list(steps(many, day, every_other))) == 2
    assert [p.text for p in steps(many, day, many["dlq_id"])] == ["\"failed_date\" = '2026-09-21'"]
    assert list(steps(many.slice(0, 0), day, many["dlq_id"])) == []
