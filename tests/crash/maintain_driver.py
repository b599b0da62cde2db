"""A process that maintains the tables, and kills itself with SIGKILL at a named step.

    python -m tests.crash.maintain_driver JOB.json

The job: `pipeline`, the path of the file; `days` by which its clock is ahead, so that what is new
is old; `kill` as for `tests.crash.driver`. Prints the report as JSON.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

from stream_processor.cli.endings import end_process
from stream_processor.errors import StreamProcessorError
from stream_processor.operations.dlq.replay_request import Doer, Surroundings
from stream_processor.operations.maintain.places import places_of
from stream_processor.operations.maintain.request import MaintainRequest
from stream_processor.operations.maintain.run import maintain
from stream_processor.runtime.clock import SystemClock
from stream_processor.runtime.config_loader import load_pipeline
from tests.crash.driver import Killer


class Ahead(SystemClock):
    """So many days later."""

    def __init__(self, days: float) -> None:
        self._seconds = days * 86_400

    def now(self) -> float:
        return time.time() + self._seconds


def main(path: str) -> int:
    job = json.loads(Path(path).read_text())
    loaded = load_pipeline(Path(job["pipeline"]), environment={}, overrides={})
    clock = Ahead(float(job.get("days", 0)))
    around = Surroundings(Doer("r-1", "tester"), clock, threading.Event(), Killer(job))
    try:
        name = loaded.pipeline.pipeline_id
        places = places_of(loaded.pipeline, loaded.schema_file)
        report = maintain(name, places, MaintainRequest(), around)
    except StreamProcessorError as error:
        print(f"{type(error).__name__}: {error.message} ({error.hint})", file=sys.stderr)
        return error.exit_code
    print(json.dumps(report.as_json()))
    return 1 if report.troubled else 0


if __name__ == "__main__":
    end_process(main(sys.argv[1]))
