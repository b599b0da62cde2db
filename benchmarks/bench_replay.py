"""How many dead letters a second does a replay make rows, on MinIO, and in how much memory?

    python benchmarks/bench_replay.py [EVENTS] [RESULT.json]

All orders of a topic become dead letters by a schema that asks for too much; then a replay by the
right schema, in a fresh process, makes rows of them, and a second one finds that there is nothing
to do. On servers of its own, or those that the environment names. Target on 2 cores, shared with
MinIO: 50,000 a second. By hand.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from by_hand import ask
from children import Job, measured
from surroundings import surroundings
from used import Used
from world import SCHEMA, World, filled_topic, world

from stream_processor.operations.dlq.replay import replay
from stream_processor.operations.dlq.replay_dry_run import rehearse
from stream_processor.operations.dlq.replay_request import (
    Doer,
    ReplayRequest,
    Surroundings,
    new_run_id,
)
from stream_processor.operations.dlq.selection import Selector
from stream_processor.runtime.clock import SystemClock
from stream_processor.runtime.config_loader import load_pipeline

TOO_MUCH = {
    **SCHEMA,
    "fields": [
        {**each, **({"minimum": 10**9} if each["name"] == "amount" else {})}
        for each in SCHEMA["fields"]
    ],
}


def measure(path: str, what: str, status: str) -> None:
    """Runs in a process of its own, whose peak memory is that of one replay."""
    loaded = load_pipeline(Path(path), environment={}, overrides={})
    request = ReplayRequest(Selector(status=None if status == "any" else status))
    clock = SystemClock()
    used = Used()
    if what == "rehearse":
        tally = rehearse(loaded, request, clock).tally
    else:
        doer = Doer(new_run_id(time.time()), "bench@here")
        tally = replay(loaded, request, Surroundings(doer, clock, threading.Event())).tally
    said = {"replayed": tally.replayed, "already_there": tally.there}
    rate = {"records_per_second": round(tally.matched / used.seconds())}
    print(json.dumps(said | used.figures() | rate))


def run(made: World, events: int, folder: Path) -> dict[str, Any]:
    facts = surroundings("Kafka and MinIO")
    pipeline = made.pipeline(filled_topic(made, events, broken_ratio=0.0))
    if Job(pipeline, TOO_MUCH).result()["dead_letters"] != events:
        raise RuntimeError("not all events became dead letters")
    (folder / "schema.json").write_text(json.dumps(SCHEMA))
    path = folder / "pipeline.yaml"
    path.write_text(json.dumps({**pipeline, "schema": {"file": "schema.json"}}))
    return {
        "question": "How many dead letters a second does a replay make rows, on MinIO?",
        "events": events,
        "targets": {"records_per_second": 50_000},
        "dry run": measured(__file__, "--measure", path, "rehearse", "open"),
        "replay": measured(__file__, "--measure", path, "replay", "open"),
        "again, with nothing to do": measured(__file__, "--measure", path, "replay", "any"),
        **facts,
    }


def main() -> None:
    if sys.argv[1:2] == ["--measure"]:
        measure(*sys.argv[2:5])
        return
    with world() as made, tempfile.TemporaryDirectory() as folder:
        ask(lambda events: run(made, events, Path(folder)), 1_000_000)


if __name__ == "__main__":
    main()
