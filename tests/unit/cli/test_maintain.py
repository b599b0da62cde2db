"""`maintain` at a terminal: the plan first, then what was done, word for word."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from deltalake import DeltaTable

from tests.letters import Letters, broken, good
from tests.unit.cli.conftest import Command, Golden


@pytest.fixture
def world(tmp_path: Path) -> Letters:
    """Nine commits of a row and two dead letters each; somebody has ignored one of those."""
    made = Letters(tmp_path)
    for number in range(9):
        made.stream(good(number), b"{", broken(number))
    made.act("ignored", 2)
    return made


def steady(text: str) -> str:
    """Without what differs from run to run: ids of runs, sizes of files."""
    text = re.sub(r"r-\d{8}-\d{6}-[0-9a-f]{4}", "r-RUN", text)
    return re.sub(r" *[\d.]+ KiB", " SIZE", text).replace(" (c extension)", "")


def test_it_plans_and_then_does_it(command: Command, golden: Golden, world: Letters) -> None:
    """The person reads what would be done before anything is."""
    planned = command("maintain", str(world.path))
    assert planned.code == 0
    text = steady(planned.out + planned.err).replace(str(world.folder), "FOLDER")
    golden("maintain-plan", text)
    assert len(DeltaTable(world.tables.data).file_uris()) == 9
    done = command("maintain", str(world.path), "--apply")
    assert done.code == 0
    golden("maintain-done", steady(done.out + done.err))
    assert len(DeltaTable(world.tables.data).file_uris()) == 1
    assert world.verify().clean
    command("maintain", str(world.path), "--apply")
    idle = command("maintain", str(world.path))
    assert idle.out.splitlines()[-1] == "there is nothing to do"


def test_as_json(command: Command, world: Letters) -> None:
    """For whoever runs it by a timer."""
    words = ("maintain", str(world.path), "--json")
    plan = json.loads(command(*words).out)
    rows = plan["tables"][0]
    assert (plan["applied"], rows["table"], rows["files"], rows["small"]) == (False, "rows", 9, 9)
    only = json.loads(command(*words, "--apply", "--only", "fold, checkpoint").out)
    assert (only["tables"][0]["folded"], only["tables"][0]["joined"]) == (20, 0)
    report = json.loads(command(*words, "--apply", "--max-files", "1").out)
    assert (report["applied"], report["spent"]) == (True, True)
    assert [table["joined"] for table in report["tables"]] == [9, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "words",
    [("--only", "optimise"), ("--only", ""), ("--max-bytes", "12"), ("--max-files", "0")],
)
def test_a_typing_error_is_exit_2(command: Command, world: Letters, words: tuple[str, str]) -> None:
    """And nothing is done, whatever else was said."""
    before = DeltaTable(world.tables.data).version()
    assert command("maintain", str(world.path), "--apply", *words).code == 2
    assert DeltaTable(world.tables.data).version() == before


def test_another_at_work_is_exit_1(command: Command, world: Letters) -> None:
    """The timer of another machine: what it does is done, and the timer must not page anybody
    twice."""
    from stream_processor.operations.maintain.places import places_of
    from stream_processor.runtime.clock import SystemClock
    from stream_processor.sinks.delta_turn import Turn

    loaded = world.loaded()
    place = places_of(loaded.pipeline, loaded.schema_file)[0]
    Turn(place.spec, place.store, "r-1", SystemClock().now).take()
    ended = command("maintain", str(world.path), "--apply")
    assert ended.code == 1
    assert "compact: another maintenance of" in ended.err
    assert "dead letters: 9 small files" in ended.out


def test_a_table_of_another_pipeline_is_exit_2(command: Command, world: Letters) -> None:
    """Nothing is written into what is not ours."""
    other = world.path.read_text().replace("name: orders", "name: others")
    (world.folder / "other.yaml").write_text(other)
    before = DeltaTable(world.tables.data).version()
    ended = command("maintain", str(world.folder / "other.yaml"), "--apply")
    assert ended.code == 2
    assert DeltaTable(world.tables.data).version() == before


def test_before_the_first_run_there_is_nothing_to_do(command: Command, tmp_path: Path) -> None:
    """A timer may be set up before the pipeline."""
    made = Letters(tmp_path)
    ended = command("maintain", str(made.path), "--apply")
    assert ended.code == 0
    assert not (tmp_path / "lake").exists()
