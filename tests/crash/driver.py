"""A process that runs one pipeline and kills itself with SIGKILL at a named step.

    python -m tests.crash.driver JOB.json

The job: `pipeline` and `schema` as in the files, `until_latest`, `decisions`, and `kill`: the step
and how many times it is passed before the process dies. Every step reached is written, one line
each, to `steps` (if named), so that a parent can wait for a moment.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from stream_processor.config.fields import SchemaFile
from stream_processor.config.pipeline import Pipeline
from stream_processor.errors import StreamProcessorError
from stream_processor.operations.assemble import Environment, RunTerms, engine
from stream_processor.operations.kafka_readers import Silent
from stream_processor.ports import Decisions
from stream_processor.runtime.clock import SystemClock


class Lines(Silent):
    """An observer that writes what happens to stderr, for the failure message of a test."""

    def state(self, state: str, reason: str = "") -> None:
        self._line("state", state, reason)

    def settled(self, upto: Any, dead_by_code: Any) -> None:
        moved = {str(p): (a.since, a.upto, a.rows, a.dead, a.held_back) for p, a in upto.items()}
        self._line("moved", moved, dict(dead_by_code))

    def event(self, name: str, **fields: object) -> None:
        self._line(name, fields)

    def _line(self, *parts: object) -> None:
        print(f"{time.monotonic():.3f}", *parts, file=sys.stderr, flush=True)


class Killer:
    """The kill point of a test: dies at the n-th time that the step is reached."""

    def __init__(self, job: dict[str, Any]) -> None:
        kill = job.get("kill") or {}
        self._step = kill.get("step")
        self._left = int(kill.get("count", 1))
        self._signal = getattr(signal, kill.get("signal", "SIGKILL"))
        self._steps = job.get("steps")

    def __call__(self, step: str) -> None:
        if self._steps:
            with Path(self._steps).open("a") as file:
                file.write(step + "\n")
        if step == self._step:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), self._signal)


def main(path: str) -> int:
    job = json.loads(Path(path).read_text())
    decisions = dict(job.get("decisions", {}))
    if "accept_recreated" in decisions:
        decisions["accept_recreated"] = frozenset(decisions["accept_recreated"])
    faulthandler.register(signal.SIGUSR1)  # where it hangs, for the log of a test that waits
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    made = engine(
        Pipeline.model_validate(job["pipeline"]),
        SchemaFile.model_validate(job["schema"]),
        RunTerms(Decisions(**decisions), until_latest=job.get("until_latest", True)),
        Environment(Lines(), SystemClock(), stop, kill_point=Killer(job)),
    )
    try:
        made.run()
    except StreamProcessorError as error:
        print(f"{type(error).__name__}: {error.message} ({error.hint})", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
