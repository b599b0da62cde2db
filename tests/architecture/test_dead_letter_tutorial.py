"""The tutorial of dead letters is typed as it is written; the printed hints lead the same way."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.architecture.test_readme import ROOT, blocks, environment, recipe

pytestmark = pytest.mark.stack

PAGE = ROOT / "docs" / "tutorial" / "dead-letters.md"
EXPECTED = (
    ("source .venv/bin/activate", ["3,000 offsets: 2,964 rows, 36 dead letters, 0 lost, 0 double"]),
    ("dlq list", ["c772a9fd", "d8ee0179", "36 "]),
    ("dlq show c772a9fd", ["field.enum", "currency", "EUR, USD, GBP"]),
    ("sed -i", []),
    ("--format fixture", ["2 passed, 0 failed"]),
    ("stream-processor test\n", ["3 passed, 0 failed"]),
    ("d8ee0179 --dry-run", ["9   would go to ./lakehouse/orders", "nothing was written"]),
    ("d8ee0179 --yes", ["36 dead letters, 9 of them replayed, 0 lost, 0 double"]),
    ("--records", ["744", "field.missing"]),
    ("number.json", ['"order_id":"O-000002979"', ": 1 to ./lakehouse/orders, 0 failed again"]),
    ("dlq ignore", []),
    ("stream-processor verify", ["36 dead letters, 10 of them replayed, 0 lost, 0 double"]),
)
"""For each block of the page: what is in it, and what must be in what it prints."""


@dataclass(frozen=True)
class Demo:
    """A clone after `make demo` with 3,000 events, and what that said."""

    folder: Path
    said: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("clone")
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("*.egg-info"))
    (folder / ".venv").symlink_to(sys.prefix)
    said = typed(f"{recipe('demo')} --events 3000", folder)
    assert said.returncode == 0, said.stderr
    return Demo(folder, said)


@pytest.fixture
def clone(demo: Demo, tmp_path: Path) -> Path:
    """A copy of it, whose files and tables may be changed. Its Kafka has ended."""
    ignored = shutil.ignore_patterns(".kafka")
    return Path(shutil.copytree(demo.folder, tmp_path / "clone", symlinks=True, ignore=ignored))


def typed(commands: str, clone: Path) -> subprocess.CompletedProcess[str]:
    """As a person in the folder of the clone types it."""
    return subprocess.run(
        ["bash", "-uo", "pipefail", "-c", commands],
        cwd=clone,
        env=environment(clone, PYTHONPATH=str(clone / "src"), COLUMNS="120"),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_every_command_of_the_tutorial(clone: Path) -> None:
    """A page that no longer works costs the trust of whoever needs it most."""
    found = blocks(PAGE)
    assert len(found) == len(EXPECTED)
    for block, (command, words) in zip(found, EXPECTED, strict=True):
        assert command in block
        done = typed(f"set -e\n{block}", clone)
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        assert [word for word in words if word not in done.stdout] == [], done.stdout


def hinted(done: subprocess.CompletedProcess[str], verb: str) -> str:
    """The last command with this verb that was told to type, without the words behind it."""
    line = rf"^ *(?:next: )?(\S*stream-processor {verb}\b.*?)(?:   .*)?$"
    found = re.findall(line, done.stdout + done.stderr, re.MULTILINE)
    assert found, done.stdout + done.stderr
    return str(found[-1])


def test_the_printed_hints_lead_from_a_broken_event_to_the_proof(demo: Demo, clone: Path) -> None:
    """At night nobody reads a page: each command says which one comes next."""
    causes = typed(hinted(demo.said, "dlq list"), clone)
    look = typed(hinted(causes, "dlq show"), clone)
    assert "src/stream_processor/config/orders.yaml" in look.stdout + look.stderr
    orders = clone / "src/stream_processor/config/orders.yaml"
    text = orders.read_text()
    orders.write_text(
        text.replace("minimum: 0\n", "minimum: -10000\n").replace("GBP]", "GBP, DOUBLOONS]")
    )
    rehearsed = typed(hinted(look, "dlq replay"), clone)
    replayed = typed(hinted(rehearsed, "dlq replay"), clone)
    proof = typed(hinted(replayed, "verify"), clone)
    assert proof.returncode == 0
    assert re.search(r"36 dead letters, [45] of them replayed, 0 lost, 0 double", proof.stdout)
