"""A process that runs one replay and kills itself with SIGKILL at a named step.

    python -m tests.crash.replay_driver JOB.json

The job: `pipeline` is the path of the pipeline file, `selector` and `request` are the fields of
`Selector` and `ReplayRequest`, `topic` the name of a target, and `kill` the step and how many times
it is passed before the process dies. Every step reached is written, one line each, to `steps`, and
at a step named by `wait` the process goes on only when the file `go` exists.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

from stream_processor.errors import StreamProcessorError
from stream_processor.operations.dlq.replay import replay
from stream_processor.operations.dlq.replay_request import (
    Doer,
    ReplayRequest,
    Surroundings,
    Topic,
    new_run_id,
)
from stream_processor.operations.dlq.selection import Selector
from stream_processor.runtime.clock import SystemClock
from stream_processor.runtime.config_loader import load_pipeline
from tests.crash.driver import Killer

_WAIT_SECONDS_MAX = 120


def main(path: str) -> int:
    job = json.loads(Path(path).read_text())
    selector = job.get("selector", {})
    if "offsets" in selector:
        selector["offsets"] = tuple(selector["offsets"])
    topic = job.get("topic")
    request = ReplayRequest(
        Selector(**selector), to=Topic(topic) if topic else None, **job.get("request", {})
    )
    killer = Killer(job)

    def kill_point(step: str) -> None:
        killer(step)
        if step == job.get("wait"):
            _wait_for(Path(job["go"]))

    doer = Doer(new_run_id(time.time()), "driver@here")
    around = Surroundings(doer, SystemClock(), threading.Event(), kill_point)
    loaded = load_pipeline(Path(job["pipeline"]), environment={}, overrides={})
    try:
        report: Any = replay(loaded, request, around).as_json()
    except StreamProcessorError as error:
        print(f"{type(error).__name__}: {error.message} ({error.hint})", file=sys.stderr)
        return error.exit_code
    print(json.dumps(report))
    return 0


def _wait_for(file: Path) -> None:
    ends = time.monotonic() + _WAIT_SECONDS_MAX
    while not file.exists():
        if time.monotonic() > ends:
            raise TimeoutError(file.name)
        time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
