"""The documents of first use cannot lie: what they tell a person to type is typed here."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from stream_processor.cli.app import app
from stream_processor.operations.local_stack.process import refuse_second
from tests.crash.world import wait_until

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
TUTORIAL = ROOT / "docs" / "tutorial" / "first-steps.md"
MODULE = ROOT / "src" / "stream_processor" / "README.md"
PAGES = [README, TUTORIAL, MODULE, *(ROOT / name for name in ("CONTRIBUTING.md", "CHANGELOG.md"))]
OURS = re.compile(r"(KAFKA|S3|STREAM_PROCESSOR|LAKEHOUSE|PYTHONPATH|AWS)")


def blocks(page: Path) -> list[str]:
    """What stands between fences, without the fences and their indentation."""
    found = re.findall(r"^( *)```\w*\n(.*?)^ *```", page.read_text(), re.DOTALL | re.MULTILINE)
    return [re.sub(f"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def block_with(page: Path, text: str) -> str:
    (found,) = [block for block in blocks(page) if text in block]
    return found


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder like a clone after `make demo`: sources, `.venv`, and nothing that ran before."""
    for name in ("src", "examples", "Makefile"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


def environment(clone: Path, **more: str) -> dict[str, str]:
    """A terminal without any variable of ours, in which `.venv` is active."""
    kept = {name: value for name, value in os.environ.items() if not OURS.match(name)}
    cache = {k: v for k, v in os.environ.items() if k == "STREAM_PROCESSOR_CACHE"}
    return {**kept, **cache, "PATH": f"{clone}/.venv/bin:{os.environ['PATH']}", **more}


def typed(commands: str, clone: Path, **more: str) -> str:
    """Type the commands; returns what they print. Each one must succeed."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=clone,
        env=environment(clone, **more),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def recipe(target: str) -> str:
    """What `make TARGET` types, its environment being there already."""
    lines = (ROOT / "Makefile").read_text().splitlines()
    (at,) = [number for number, line in enumerate(lines) if line.startswith(f"{target}:")]
    return lines[at + 1].strip().removeprefix("@").replace("$(BIN)", ".venv/bin")


def test_the_readme_is_short() -> None:
    """It is read before anything else, or not at all."""
    assert len(README.read_text().splitlines()) <= 200


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """A dead link is the first thing that a newcomer meets."""
    links = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_named_path_exists(page: Path) -> None:
    """Rooms and tests are moved; the pages that name them must follow."""
    named = re.findall(
        r"`((?:src|tests|docs|scripts|benchmarks|examples)/[\w./-]+)`", page.read_text()
    )
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_exists(page: Path) -> None:
    """What a page tells to type must be known to make and to the command line."""
    text = page.read_text()
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE)) <= targets
    called = re.findall(r"(?:^stream-processor|`stream-processor|_processor\.main) ([a-z]+)", text)
    assert set(called) <= set(verbs())


def verbs() -> Iterator[str]:
    yield from get_command(app).commands  # type: ignore[attr-defined] # typer's own group


def test_the_readme_names_every_verb() -> None:
    """A verb that nobody reads about is not there."""
    table = README.read_text().partition("## What you can ask")[2].partition("\n## ")[0]
    assert [verb for verb in verbs() if f"`{verb}" not in table] == []


def test_own_files_are_checked_as_the_readme_says(clone: Path) -> None:
    """The step from the demo to one's own pipeline is where most people would give up."""
    block = block_with(README, "cp src/stream_processor/config/pipeline.yaml")
    *checked, last = block.splitlines()
    assert last.endswith("run pipeline.yaml")  # needs a Kafka, and does not end by itself
    typed("\n".join(checked), clone, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:9", KAFKA_TOPICS="orders")


@pytest.mark.stack
def test_the_demo_and_the_tutorial_behind_it(clone: Path) -> None:
    """`make demo` with fewer events, then every command of the tutorial that needs no server."""
    assert block_with(README, "make demo") == "make demo\n"
    printed = typed(f"{recipe('demo')} --events 3000", clone)
    assert "3,000 offsets: " in printed
    assert " 0 lost, 0 double" in printed
    typed(block_with(README, "import deltalake"), clone)
    asked, dead, tried, own, again = blocks(TUTORIAL)[1:6]
    assert "3,000 offsets: " in typed(asked, clone)
    assert typed(dead, clone).startswith("orders ")
    first, second = typed(tried, clone).splitlines()
    assert '"status": "paid"' in first
    assert '"currency": "EUR"' in first
    assert '"code": "field.type"' in second
    typed(own + again, clone)


@pytest.mark.stack
@pytest.mark.parametrize("page", [README, MODULE], ids=lambda page: str(page.relative_to(ROOT)))
def test_the_quick_start_of_the_user_runs_until_ctrl_c(clone: Path, page: Path) -> None:
    """PYTHONPATH and one command, word for word; Ctrl-C ends it, and nothing was lost."""
    block = block_with(page, "export PYTHONPATH=$(pwd)/src")
    log_file = clone / "log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-c", block],
            cwd=clone,
            env=environment(clone),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_until(
            lambda: b'"committed"' in log_file.read_bytes() or process.poll() is not None,
            "nothing was committed",
            120,
            said=log_file.read_text,
        )
        assert process.poll() is None, log_file.read_text()
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 130, log_file.read_text()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    lines = log_file.read_text().splitlines()
    assert "LOCAL: built-in Kafka, invented orders, tables in ./lakehouse" in lines[:1]
    refuse_second(clone / "lakehouse" / ".kafka" / "java.log")  # raises while its Kafka runs
    proof = block.replace("stream_processor.main", "stream_processor.main verify")
    assert " 0 lost, 0 double" in typed(proof, clone)
    place = typed(
        f"{block.splitlines()[0]}\npython -c 'import stream_processor as s; print(s)'", clone
    )
    assert f"{clone}/src/" in place


@pytest.mark.stack
def test_real_kafka_and_minio_in_five_lines(clone: Path) -> None:
    """The same lines as in the README, except that `make` builds no environment here."""
    block = block_with(README, "source .stack/env")
    assert len(block.splitlines()) == 5
    assert block.startswith("make up\n")
    down = recipe("down").split("then ")[1].split(";")[0]
    try:
        printed = typed(block.replace("make up", recipe("up"), 1), clone)
    finally:
        typed(down, clone)
    assert "10,000 offsets: " in printed
    assert " 0 lost, 0 double" in printed
