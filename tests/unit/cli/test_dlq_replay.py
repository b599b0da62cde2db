"""`dlq replay`: what it says before and afterwards, and when it does nothing without being told."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.replays import Replays, event
from tests.unit.cli.conftest import Command, Ended, Golden
from tests.unit.cli.hostile import NASTY, assert_harmless


@pytest.fixture
def world(tmp_path: Path) -> Replays:
    """Offsets 1 and 2 can be mended, 3 and 4 cannot, 5 has no id."""
    made = Replays(tmp_path)
    made.stream(event(0), event(1, "7 EUR"), event(2, "8 EUR"), b"{", None, b'{"amount": "7"}')
    made.mend()
    return made


def replayed(command: Command, *flags: str) -> Ended:
    return command("dlq", "replay", "--pipeline", "pipeline.yaml", *flags)


def steady(text: str) -> str:
    """Without what changes from run to run."""
    text = re.sub(r"r-\d{8}-\d{6}-[0-9a-f]{4}", "r-20261124-101502-4f2a", text)
    text = re.sub(r"\S*/lake/orders", "./lake/orders", text)
    return re.sub(r"\d+\.\d s\b", "0.1 s", text)


def test_dry_run_and_replay(command: Command, golden: Golden, world: Replays) -> None:
    """The two screens by which a person decides, and is sure afterwards."""
    (world.folder / "fix.json").write_text('{"amount": "9.90"}')
    before = replayed(command, "--dry-run", "--patch", "fix.json")
    after = replayed(command, "--yes")
    assert (before.code, after.code) == (1, 1)
    again = replayed(command, "--yes", "--status", "any", "--limit", "2")
    golden("dlq-replay", steady("\n".join([before.out, after.out, again.out])))
    world.prove()


def test_all_that_succeeds_ends_in_nothing(command: Command, world: Replays) -> None:
    """Exit 0: everything that was meant is in the table."""
    assert replayed(command, "--yes", "--code", "field.pattern").code == 0
    assert replayed(command, "--dry-run", "--status", "replayed").code == 0
    assert len(world.rows()) == 3


def test_without_a_terminal_it_must_be_told(command: Command, world: Replays) -> None:
    """A script that forgot --yes must not believe that it has replayed."""
    ended = replayed(command)
    assert ended.code == 2
    assert "say --dry-run or --yes" in ended.err
    assert replayed(command, "--yes", "--dry-run").code == 2
    assert len(world.rows()) == 1


def test_json_has_the_same_numbers(command: Command, world: Replays) -> None:
    """What a script reads of the plan it finds again in the report."""
    plan = json.loads(replayed(command, "--dry-run", "--json").out)
    report = json.loads(replayed(command, "--yes", "--json").out)
    shared = plan.keys() & report.keys()
    assert shared >= {"matched", "replayed", "failed_again", "pending", "failures", "target"}
    assert {name: plan[name] for name in shared} == {name: report[name] for name in shared}
    assert report["ended"] == "done"
    assert report["run_id"] == world.actions()[0]["run_id"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--to", "topik:x"], "write table, or topic:NAME"),
        (["--to", "topic:a b"], "write table, or topic:NAME"),
        (["--to", "topic:.."], "write table, or topic:NAME"),
        (["--to", "topic:orders"], "come back for ever"),
        (["--rate", "0"], "write it like 200/s"),
        (["--rate", "fast"], "write it like 200/s"),
        (["--rate", "nan"], "write it like 200/s"),
        (["--limit", "0"], "--limit"),
        (["--patch", "none.json"], "cannot be read"),
        (["--patch", "array.json"], "no JSON object"),
        (["--patch", "broken.json"], "no valid JSON"),
        (["--patch", "patch.json", "--to", "topic:x"], "the very bytes"),
        (["--header", "x"], "--to topic:NAME"),
        (["--yes-same-topic"], "--to topic:NAME"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything(
    command: Command, world: Replays, flags: list[str], said: str
) -> None:
    """Exit 2, with what to write instead."""
    (world.folder / "array.json").write_text("[]")
    (world.folder / "broken.json").write_text('{"a": }')
    (world.folder / "patch.json").write_text('{"a": 1}')
    ended = replayed(command, "--yes", *flags)
    assert ended.code == 2, ended.err
    assert said in ended.err
    assert world.actions() == []


def test_nothing_chosen_says_what_is_near(command: Command, world: Replays) -> None:
    """Exit 1: an empty replay is no success."""
    ended = replayed(command, "--yes", "--code", "field.patern")
    assert ended.code == 1
    assert "nearest: field.pattern" in ended.err


def test_hostile_values_reach_no_terminal(command: Command, world: Replays) -> None:
    """Names of headers and fields, and values in the example, are written by strangers."""
    world.stream(json.dumps({"id": 9, "amount": f"{NASTY} EUR"}, ensure_ascii=False).encode())
    (world.folder / "fix.json").write_text(json.dumps({NASTY: {NASTY: NASTY}}))
    for flags in (["--dry-run", "--patch", "fix.json"], ["--yes", "--patch", "fix.json"]):
        for form in ([], ["--json"]):
            ended = replayed(command, *flags, *form)
            assert_harmless(ended.out + ended.err)
    ended = replayed(command, "--dry-run", "--code", NASTY)
    assert_harmless(ended.out + ended.err)


def test_headers_that_stay_behind_are_named(command: Command, world: Replays) -> None:
    """Whoever reads the target topic may need one of them."""
    ended = replayed(command, "--dry-run", "--to", "topic:fixed")
    assert "would go to topic:fixed" in ended.out
    assert world.actions() == []


def test_preview_mask_hides_in_the_example_too(command: Command, world: Replays) -> None:
    """A dry run is shown to colleagues, and ends up in tickets."""
    world.path.write_text(world.path.read_text() + "dlq: {preview_mask: [amount]}\n")
    (world.folder / "fix.json").write_text('{"amount": "secret"}')
    ended = replayed(command, "--dry-run", "--patch", "fix.json")
    assert "EUR" not in ended.out
    assert "secret" not in ended.out
    assert "***" in ended.out
