"""A process that purges or erases, and kills itself with SIGKILL at a named step.

    python -m tests.crash.removal_driver JOB.json

The job: `pipeline`, the path of the file; `erase`: `topic`, `partition`, `offset`, or without it a
purge of everything, open ones too; `kill` as for `tests.crash.driver`.
"""

from __future__ import annotations

import json
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from stream_processor.cli.endings import end_process
from stream_processor.errors import StreamProcessorError
from stream_processor.operations.dlq.erase import erase
from stream_processor.operations.dlq.erase_identity import EraseRequest
from stream_processor.operations.dlq.keepers import keepers_of
from stream_processor.operations.dlq.purge import PurgeRequest, purge
from stream_processor.operations.dlq.replay_request import Doer, Surroundings
from stream_processor.operations.dlq.selection import Selector
from stream_processor.runtime.clock import SystemClock
from stream_processor.runtime.config_loader import load_pipeline
from tests.crash.driver import Killer


def main(path: str) -> int:
    job = json.loads(Path(path).read_text())
    loaded = load_pipeline(Path(job["pipeline"]), environment={}, overrides={})
    killer = Killer(job)
    around = Surroundings(Doer("r-1", "tester"), SystemClock(), threading.Event(), killer)
    keepers = keepers_of(loaded, "r-1", killer)
    try:
        if "erase" in job:
            print(erase(keepers, EraseRequest(**job["erase"]), around))
        else:
            later = datetime.now(UTC) + timedelta(days=1)
            statuses = ("replayed", "ignored", "open")
            print(purge(keepers, PurgeRequest(Selector(), later, statuses), around))
    except StreamProcessorError as error:
        print(f"{type(error).__name__}: {error.message} ({error.hint})", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    end_process(main(sys.argv[1]))
