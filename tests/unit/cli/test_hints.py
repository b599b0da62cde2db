"""Each verb on dead letters says what comes next, as a command that can be copied."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.letters import Letters, broken, good
from tests.unit.cli.conftest import Command, Ended


def next_of(ended: Ended) -> list[list[str]]:
    """The words of the hints, without the program's name and what stands behind them."""
    found = re.findall(r"^  next: stream-processor (.*?)(?:   .*)?$", ended.err, re.MULTILINE)
    return [shlex.split(line) for line in found]


@pytest.fixture
def world(tmp_path: Path) -> Letters:
    (tmp_path / "my files").mkdir()
    made = Letters(tmp_path / "my files")
    made.stream(good(0), b"{", good(2))
    return made


def test_a_replay_leads_from_the_plan_to_the_proof(command: Command, world: Letters) -> None:
    """At night each output is the page that is read; also where the path needs quotes."""
    path = str(world.path)
    text = (world.folder / "orders.yaml").read_text()
    (world.folder / "orders.yaml").write_text(
        text.replace("decimal(12,2)'", "decimal(12,2)', minimum: 0")
    )
    world.stream(broken(3, amount=-2))
    (world.folder / "orders.yaml").write_text(text)
    planned = command("dlq", "replay", "--dry-run", "--field", "amount", "--pipeline", path)
    ((*words,),) = next_of(planned)
    assert words == ["dlq", "replay", "--field", "amount", "--pipeline", path, "--yes"]
    done = command(*words)
    assert done.code == 0
    assert next_of(done) == [["verify", path]]
    proven = command(*next_of(done)[0])
    assert proven.out.endswith(
        "4 offsets: 3 rows, 2 dead letters, 1 of them replayed, 0 lost, 0 double\n"
    )


def test_what_failed_again_leads_back_to_the_causes(command: Command, world: Letters) -> None:
    """What stays open is the next thing to look at."""
    done = command("dlq", "replay", "--yes", "--pipeline", str(world.path))
    assert done.code == 1
    assert next_of(done)[0] == ["dlq", "list", f"--pipeline={world.path}"]


@pytest.mark.parametrize(
    "plan",
    [
        ("dlq", "purge", "--before", "2030-01-01", "--include-open"),
        ("dlq", "erase", "--topic", "orders", "--partition", "0", "--offset", "1"),
    ],
)
def test_a_plan_is_done_by_the_same_words(
    command: Command, world: Letters, plan: tuple[str, ...]
) -> None:
    """Retyping a selector is how the wrong records go."""
    planned = command(*plan, "-p", str(world.path))
    assert planned.code == 0
    assert next_of(planned) == [[*plan, "-p", str(world.path), "--yes"]]
