"""A replay that dies at any step, or is overtaken there by another one: nothing double, no loss.

Real Delta tables in a folder. The same with kill -9, on the real stack, is in tests/integration.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from deltalake import DeltaTable

from stream_processor.errors import Fenced
from stream_processor.operations.dlq.selection import Selector
from stream_processor.ports import KillPoint
from stream_processor.sources.memory import MemoryLog
from tests.crash.world import wait_until
from tests.kill_points import Died, dies_at, meanwhile_at
from tests.replays import ANY, STEPS, STRICT, Replays, event

PARTITIONED = "partition_by: [_kafka_topic, _kafka_partition], "


def world(folder: Path, extra: str = "") -> Replays:
    """Offsets 1, 2, 4, 5 and 6 can be mended, 3 cannot; steps of two records."""
    made = Replays(folder)
    text = made.path.read_text()
    address = f"table: '{folder}/lake/orders'"
    made.path.write_text(text.replace(address, f"{extra}{address}, commit: {{max_records: 2}}"))
    made.stream(event(0), event(1, "a"), event(2, "b"))
    made.stream(b"{", event(4, "c"), event(5, "d"), event(6, "e"), event(7))
    made.mend()
    return made


RIGHT_TABLE = [
    (0, n, n, a) for n, a in enumerate(["7", "a", "b", "", "c", "d", "e", "7"]) if n != 3
]
LEDGER = {1: "replayed", 2: "replayed", 3: "failed_again"} | dict.fromkeys((4, 5, 6), "replayed")


def is_right(made: Replays) -> None:
    assert [row[:4] for row in made.table()] == RIGHT_TABLE
    assert made.statuses() == LEDGER
    made.prove()


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("step", STEPS)
def test_it_dies_at_any_step_and_is_started_again(tmp_path: Path, step: str, count: int) -> None:
    """The half that is done must be recognised, row by row."""
    made = world(tmp_path)
    with suppress(Died):
        made.replay(kill_point=dies_at(step, count))
    made.replay()
    is_right(made)


@pytest.mark.parametrize("extra", ["", PARTITIONED])
def test_the_next_job_names_what_the_killed_one_wrote(tmp_path: Path, extra: str) -> None:
    """Also when it is about other records: the proof must add up for all."""
    made = world(tmp_path, extra)
    with pytest.raises(Died):
        made.replay(Selector(offsets=(1, 2)), kill_point=dies_at("desk.after_step", 2))
    assert made.actions() == []
    killed = DeltaTable(made.tables.data).history(1)[0]
    made.stream(event(8))
    report = made.replay(Selector(offsets=(6, 6)))
    assert report.repaired == 2
    by_offset = {action["offset"]: action for action in made.actions()}
    run_id = json.loads(killed["stream_processor"])["run"]
    assert [by_offset[n]["run_id"] for n in (1, 2)] == [run_id] * 2
    assert by_offset[1]["run_id"] != by_offset[6]["run_id"]
    assert by_offset[1]["target_version"] == killed["version"]
    assert made.verify().clean
    assert made.replay(Selector(offsets=(6, 6), status="replayed")).repaired == 0


def test_membership_covers_what_repair_cannot_find(tmp_path: Path) -> None:
    """The files of the killed step were compacted and vacuumed before anybody came back."""
    made = world(tmp_path)
    with pytest.raises(Died):
        made.replay(kill_point=dies_at("desk.after_step", 2))
    table = DeltaTable(made.tables.data)
    table.optimize.compact()
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    made.replay()
    is_right(made)


def overtaken_at(made: Replays, step: str, count: int, selector: Selector) -> KillPoint:
    """At the `count`-th passing another job runs from its beginning to its end."""
    return meanwhile_at(step, count, lambda: made.replay(selector))


@pytest.mark.parametrize("selector", [ANY, Selector(offsets=(5, 9))], ids=["any", "5"])
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("step", STEPS)
def test_the_newer_of_two_goes_on_and_the_older_ends(
    tmp_path: Path, step: str, count: int, selector: Selector
) -> None:
    """A slow one that wakes up behind the other must not write what the other has written."""
    made = world(tmp_path)
    with suppress(Fenced):
        made.replay(kill_point=overtaken_at(made, step, count, selector))
    made.replay()
    is_right(made)


def test_the_older_one_says_why_it_ends(tmp_path: Path) -> None:
    """One sentence, and what to do: two people may be at work without knowing."""
    made = world(tmp_path)
    with pytest.raises(
        Fenced, match=r"another replay, purge or erase .* has the desk now"
    ) as ended:
        made.replay(kill_point=overtaken_at(made, "replay.claimed", 1, ANY))
    assert "what is done stays done" in ended.value.hint


@pytest.mark.parametrize("step", STEPS)
def test_the_stream_moves_on_at_any_step(tmp_path: Path, step: str) -> None:
    """Also with a new owner of the partition, which is what every batch of this world is."""
    made = world(tmp_path)
    numbers = iter(range(8, 100))

    def meanwhile(reached: str) -> None:
        if reached == step:
            number = next(numbers)
            made.stream(event(number), event(number, "late"))

    made.replay(kill_point=meanwhile)
    made.prove()
    assert made.replay(ANY).tally.replayed == 0
    offsets = [row["_kafka_offset"] for row in made.rows()]
    assert offsets == [n for n in range(len(offsets) + 1) if n != 3]


@pytest.mark.parametrize(("step", "count"), [(step, 2) for step in STEPS[:2]] + [(STEPS[4], 1)])
def test_kill_minus_nine(tmp_path: Path, step: str, count: int) -> None:
    """A real process and a real signal: no `finally` of ours runs."""
    made = world(tmp_path)
    job = tmp_path / "job.json"
    job.write_text(
        json.dumps(
            {
                "pipeline": str(made.path),
                "selector": {"status": "open"},
                "kill": {"step": step, "count": count},
            }
        )
    )
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.replay_driver", str(job)],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    made.replay()
    is_right(made)


def test_ctrl_c_ends_it_between_two_steps(tmp_path: Path) -> None:
    """Exit 130; what is done stays done, and nobody has to know how far it came."""
    made = world(tmp_path)
    command = ["dlq", "replay", "--yes", "--rate", "0.2/s", "--pipeline", str(made.path)]
    with subprocess.Popen(
        [sys.executable, "-m", "stream_processor.main", *command], stdout=subprocess.PIPE
    ) as process:
        wait_until(lambda: len(made.actions()) > 0, "it did not begin")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"cancelled between two steps" in out
    assert len(made.actions()) < len(LEDGER)
    made.replay()
    is_right(made)


def test_a_table_that_others_rewrite_ends_it_with_the_reason(tmp_path: Path) -> None:
    """No colleague is to blame: the sentence must not send anybody looking for one."""
    made = world(tmp_path)

    def meanwhile(reached: str) -> None:
        if reached == "replay.claimed":
            DeltaTable(made.tables.data).update({"amount": "'7'"}, predicate="id = 7")

    with pytest.raises(Fenced, match="deleted, compacted or restored"):
        made.replay(kill_point=meanwhile)
    made.replay()
    is_right(made)


def test_a_table_that_was_made_again_counts_from_its_beginning(tmp_path: Path) -> None:
    """The ledger outlives it, and must not take its steps for old ones that it has named."""
    made = world(tmp_path)
    made.replay()
    shutil.rmtree(made.tables.data)
    shutil.rmtree(made.tables.dead_letters)
    made.write_fields(STRICT)
    made.log = MemoryLog([])
    made.stream(event(0), event(1, "a"), event(2, "b"))
    made.mend()
    with pytest.raises(Died):
        made.replay(ANY, kill_point=dies_at("desk.after_step", 2))
    assert made.replay(ANY).repaired == 2
    assert [row["_kafka_offset"] for row in made.rows()] == [0, 1, 2]
