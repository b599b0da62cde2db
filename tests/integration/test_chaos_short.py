"""A short run of the random chaos, as a guard for the long ones and for their machinery."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stream_processor.operations.local_stack import fetch_kafka, fetch_minio
from tests.crash.world import wait_until

pytestmark = pytest.mark.stack

SEED = 11
SECONDS = 40
WHOLE_SECONDS_MAX = 400


def start(tmp_path: Path, seconds: int) -> subprocess.Popen[str]:
    """The run as `make chaos` starts it, its files in our folder."""
    fetch_kafka(), fetch_minio()  # so that the time of the run is not spent on downloads
    return subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.run", "--seconds", str(seconds), "--seed", str(SEED)],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_forty_seconds_of_chaos_lose_and_double_nothing(tmp_path: Path) -> None:
    """What nobody thought of to test by itself; the seed is in the output."""
    process = start(tmp_path, SECONDS)
    output, _ = process.communicate(timeout=WHOLE_SECONDS_MAX)
    assert process.returncode == 0, output
    assert output.startswith(f"seed {SEED};")
    assert "0 lost, 0 double; the audit agrees" in output
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_leaves_no_process_behind(tmp_path: Path) -> None:
    """Ctrl-C in the midst of it must not leave brokers, stores and stopped workers."""
    process = start(tmp_path, 600)
    assert process.stdout is not None
    for line in process.stdout:
        if "worker-1 " in line:
            break
    assert children(process.pid)
    started = everyone_below(process.pid)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=90)
    assert process.returncode == 130, output
    wait_until(lambda: not any(map(alive, started)), f"of {started} some are left")


def children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task")
    found: list[int] = []
    for task in path.iterdir():
        found += map(int, (task / "children").read_text().split())
    return found


def everyone_below(pid: int) -> list[int]:
    below = children(pid)
    return [*below, *(each for child in below for each in everyone_below(child))]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
