"""Servers are stopped by identity, and `--no-skips` keeps its word."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stream_processor.operations.local_stack.left_running import down
from stream_processor.operations.local_stack.process import (
    Lifetime,
    ProcessIdentity,
    start_server,
    wait_until,
)

ROOT = Path(__file__).parents[4]


def test_down_never_stops_a_process_that_only_has_the_same_id(tmp_path: Path) -> None:
    """Process ids are used again; after a reboot ours may belong to anybody."""
    stranger = {"pid": os.getpid(), "started_ticks": 1}
    (tmp_path / "processes.json").write_text(json.dumps({"kafka": stranger}))
    assert down(tmp_path) == "Nothing of `make up` is running."


def test_a_server_that_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    """`make down` and the end of a test must come back in bounded time."""
    code = (
        "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True); signal.pause()"
    )
    log = tmp_path / "log"
    server = start_server(
        [sys.executable, "-c", code], log=log, lifetime=Lifetime.PARENT, environment=os.environ
    )
    assert wait_until(lambda: "up" in log.read_text(), 10)
    server.stop(grace_seconds=0.2)
    assert not server.is_running()
    server.stop(grace_seconds=0.2)


def test_a_process_has_one_identity_while_it_runs() -> None:
    """`up` of today and `down` of tomorrow must mean the same process."""
    mine = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    assert ProcessIdentity(os.getpid(), mine).is_running()
    assert not ProcessIdentity(os.getpid(), mine + 1).is_running()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("@pytest.mark.stack\ndef test_real(): pass", 0),
        ("def test_fast(): pass", 1),
        ("@pytest.mark.stack\ndef test_real(): pass\ndef test_other(): pytest.skip('no')", 1),
        ("@pytest.mark.stack\ndef test_real(): pytest.skip('no broker')", 1),
        ("", 1),
    ],
)
def test_no_skips_fails_when_something_was_not_tested(
    tmp_path: Path, body: str, status: int
) -> None:
    """A green run in which the real stack was skipped would prove nothing."""
    (tmp_path / "test_it.py").write_text(f"import pytest\n{body}\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = stack\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.no_skips", "--no-skips", "."]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert done.returncode == status, done.stdout.decode()
