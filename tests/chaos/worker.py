"""One process of the pipeline, as a chaos run sees it."""

from __future__ import annotations

import random
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.crash.world import Job

STEPS = (
    "data.after_claim",
    "dead_letters.after_claim",
    "data.rechecked",
    "dead_letters.before_commit",
    "dead_letters.after_commit",
    "data.before_commit",
    "data.after_commit",
)
"""Where a worker may die or fall asleep by itself: between two effects, which dice rarely hit."""


def fate(dice: random.Random) -> dict[str, Any] | None:
    """The step at which a new worker will die or stop by itself, if it is to."""
    if dice.random() < 0.4:
        return None
    return {
        "step": dice.choice(STEPS),
        "count": dice.randint(1, 8),
        "signal": dice.choice(["SIGKILL", "SIGKILL", "SIGSTOP"]),
    }


@dataclass
class Worker:
    """One process of the pipeline, and what was done to it."""

    name: str
    job: Job
    process: subprocess.Popen[bytes]
    suspended: bool = False

    @property
    def fate(self) -> Mapping[str, Any] | None:
        """The step at which it dies or stops by itself, if it is to."""
        return self.job.kill

    def is_stopped(self) -> bool:
        """Whether SIGSTOP holds it, ours or its own."""
        try:
            status = Path(f"/proc/{self.process.pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return False
        return status.rpartition(")")[2].split()[0] == "T"

    def wake(self) -> None:
        """SIGCONT, if it is still there."""
        self.suspended = False
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)

    @property
    def label(self) -> str:
        """For the report."""
        return f"{self.name} (pid {self.process.pid})"


@dataclass(frozen=True)
class Leaving:
    """A worker that was sent SIGTERM: until when it may take, and which exit codes are right."""

    worker: Worker
    deadline: float
    codes: frozenset[int]
