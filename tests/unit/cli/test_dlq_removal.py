"""`dlq purge` and `dlq erase` at a terminal: the plan first, then what was done, word for word."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from deltalake import DeltaTable

from tests.letters import Letters, broken, good
from tests.unit.cli.conftest import Command, Golden
from tests.unit.cli.hostile import NASTY, assert_harmless

ERASE = ("dlq", "erase", "--topic", "orders", "--partition", "0")
SECRET = "erika.mustermann@example.com"


@pytest.fixture
def world(tmp_path: Path) -> Letters:
    """Day one: 0 a row, 1 to 3 dead; day two: 4 dead, 5 a row. 1 is replayed, 2 and 4 ignored."""
    made = Letters(tmp_path)
    made.stream(good(0), b"{", broken(2, SECRET), broken(3))
    made.later(24)
    made.stream(b"{", good(5))
    made.act("ignored", 2, 4)
    return made


def steady(text: str, made: Letters) -> str:
    """Without what differs from run to run: the folder, ids of runs, names of files, times."""
    text = text.replace(str(made.folder), "FOLDER")
    text = re.sub(r"r-\d{8}-\d{6}-[0-9a-f]{4}", "r-RUN", text)
    text = re.sub(r"[0-9a-f]{32}\.parquet", "FILE.parquet", text)
    text = re.sub(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2} UTC", "MOMENT", text)
    text = re.sub(r"searched \d+ objects, [\d.]+ KiB", "searched N objects, SIZE", text)
    return re.sub(r"[0-9a-f]{32}", "ID", text)


def test_purge_plans_and_then_does_it(command: Command, golden: Golden, world: Letters) -> None:
    """The person reads days and counts before anything is moved."""
    words = ("dlq", "purge", "--before", "2030-01-01", "--pipeline", str(world.path))
    planned = command(*words)
    assert planned.code == 0
    golden("dlq-purge-plan", steady(planned.out + planned.err, world))
    assert len(world.letters()) == 4
    done = command(*words, "--yes")
    assert done.code == 0
    golden("dlq-purge-done", steady(done.out + done.err, world))
    assert [letter["offset"] for letter in world.letters()] == [1, 3]
    assert world.verify().clean


def test_purge_as_json(command: Command, world: Letters) -> None:
    """For whoever runs it by a timer."""
    words = ("dlq", "purge", "--before", "2030-01-01", "--json", "--pipeline", str(world.path))
    plan = json.loads(command(*words).out)
    assert (plan["letters"], plan["left"], plan["unfinished"]) == (2, {"open": 2}, 0)
    assert [day["by_status"] for day in plan["days"]] == [{"ignored": 1}, {"ignored": 1}]
    report = json.loads(command(*words, "--yes").out)
    assert (report["purged"], report["completed"], report["stopped"]) == (2, 0, False)
    assert all(Path(file).is_file() for file in report["files"])


def test_purge_of_what_may_not_go_is_exit_1(command: Command, world: Letters) -> None:
    """A timer must notice that nothing was done, and why."""
    path = ("--pipeline", str(world.path))
    ended = command("dlq", "purge", "--before", "2030-01-01", "--status", "open", *path)
    assert ended.code == 1
    assert "2 are open and stay; --include-open takes them too" in ended.out
    wrong = command("dlq", "purge", "--before", "2030-01-01", "--code", "json.sintax", *path)
    assert wrong.code == 1
    assert "json.syntax" in wrong.err
    late = command("dlq", "purge", "--before", "1d", "--offsets", "0-999", "--yes", *path)
    assert late.code == 0 or "no dead letter" in late.err


@pytest.mark.parametrize("words", [(), ("--before", "last week")])
def test_purge_needs_a_time(command: Command, world: Letters, words: tuple[str, ...]) -> None:
    """Without one it would take what has failed a minute ago."""
    assert command("dlq", "purge", *words, "--pipeline", str(world.path)).code == 2


def test_erase_plans_and_then_does_it(command: Command, golden: Golden, world: Letters) -> None:
    """Where it is, that it is gone, and from when on the bytes are."""
    words = (*ERASE, "--offset", "2", "--pipeline", str(world.path))
    planned = command(*words)
    assert planned.code == 0
    golden("dlq-erase-plan", steady(planned.out + planned.err, world))
    done = command(*words, "--yes")
    assert done.code == 0
    golden("dlq-erase-done", steady(done.out + done.err, world))
    again = command(*words)
    golden("dlq-erase-again", steady(again.out + again.err, world))
    assert SECRET not in planned.out + planned.err + done.out + done.err + again.out + again.err
    assert world.verify().clean


def test_erase_waits_and_proves_it(command: Command, golden: Golden, world: Letters) -> None:
    """The last line is what goes to the person who asked to be forgotten."""
    for uri in (world.tables.data, world.tables.dead_letters):
        soon = {"delta.deletedFileRetentionDuration": "interval 1 seconds"}
        DeltaTable(uri).alter.set_table_properties(soon, raise_if_not_exists=False)
    path = ("--pipeline", str(world.path))
    ended = command(*ERASE, "--offset", "2", "--yes", "--wait-vacuum", *path)
    assert ended.code == 0
    golden("dlq-erase-proved", steady(ended.out + ended.err, world))
    row = command(*ERASE, "--offset", "5", "--yes", "--wait-vacuum", *path, "--json")
    assert row.code == 0
    report = json.loads(row.out)
    assert report["proof"]["gone"]
    assert (report["in_data"], report["in_dead_letters"]) == (True, False)
    assert world.verify().clean


def test_erase_tells_what_the_log_keeps(command: Command, golden: Golden, world: Letters) -> None:
    """An old entry of the log may quote a row; to say that all is gone would be a lie."""
    world.stream(good(6, order_id="ZZZ-" + SECRET))
    for uri in (world.tables.data, world.tables.dead_letters):
        soon = {"delta.deletedFileRetentionDuration": "interval 1 seconds"}
        DeltaTable(uri).alter.set_table_properties(soon, raise_if_not_exists=False)
    path = ("--pipeline", str(world.path))
    ended = command(*ERASE, "--offset", "6", "--yes", "--wait-vacuum", *path)
    assert ended.code == 1
    text = re.sub(r"0{15}\d{5}", "VERSION", steady(ended.out + ended.err, world))
    golden("dlq-erase-statistics", text)
    assert SECRET not in ended.out + ended.err


@pytest.mark.parametrize(
    "words", [("--offset", "2", "--wait-vacuum"), ("--offset", "-1"), ("--offset", "x"), ()]
)
def test_erase_refuses_half_an_order(
    command: Command, world: Letters, words: tuple[str, ...]
) -> None:
    """Nothing irreversible may follow from a typing error."""
    assert command(*ERASE, *words, "--pipeline", str(world.path)).code == 2


def test_hostile_names_are_harmless(command: Command, world: Letters) -> None:
    """A topic's name is typed, or pasted from somewhere."""
    words = ("dlq", "erase", "--topic", NASTY.replace("\0", ""), "--partition", "0")
    ended = command(*words, "--offset", "1", "--pipeline", str(world.path))
    assert ended.code == 1
    assert_harmless(ended.out + ended.err)
    odd = command("dlq", "purge", "--before", "2030-01-01", "--topic", NASTY.replace("\0", ""),
                  "--pipeline", str(world.path))  # fmt: skip
    assert odd.code == 1
    assert_harmless(odd.out + odd.err)
