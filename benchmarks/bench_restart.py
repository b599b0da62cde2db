"""How long is the stream away when its process ends and another begins?

64 partitions and at least 100 commits since the process before started. Measured from the start of
the new process (the interpreter's own start included) to its first durable batch: after SIGTERM,
and after `kill -9`, where the new process has the name of the dead one (static membership), as a
stateful set gives it.
"""

from __future__ import annotations

import time
from typing import Any

from children import Job
from world import SCHEMA, World, produce

from stream_processor.operations.orders import orders

PARTITIONS = 64
WAIT_SECONDS_MAX = 120.0


def measure(world: World, commits: int) -> dict[str, Any]:
    topic = world.topic(PARTITIONS)
    pipeline = world.pipeline(topic, commit={"every": "1s", "max_records": 1000})
    pipeline["source"]["kafka"]["properties"] = {"group.instance.id": "one"}
    began, after = {}, {}
    for name in ("first start", "after SIGTERM", "after kill -9"):
        _send(world, topic, commits)
        started = time.time()
        job = Job(pipeline, SCHEMA, until_latest=False)
        try:
            began[name] = round(_first_commit(job, 1) - started, 2)
            _first_commit(job, commits)
            if name == "first start":
                after[name] = job.stop()
            else:
                job.process.kill()
        finally:
            job.end()
    return {
        "partitions": PARTITIONS,
        "commits_before": commits,
        "targets": {"seconds": 5},
        "seconds_to_first_commit": began,
        "claim_ms_at_first_start": after["first start"]["stages"]["claim"]["max_ms"],
    }


def _send(world: World, topic: str, commits: int) -> None:
    produce(world.servers, topic, orders(commits * 1000, seed=1), PARTITIONS)


def _first_commit(job: Job, number: int) -> float:
    """When the job's n-th batch was in the table, as it says."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while len(commits := job.lines("committed")) < number:
        if time.monotonic() > deadline or job.process.poll() is not None:
            raise RuntimeError(f"no commit: {job.errors.read_text()[-2000:]}")
        time.sleep(0.02)
    return commits[number - 1][0]
