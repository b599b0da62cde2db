"""kill -9 at every named step, on real Kafka and MinIO; the restart cuts and judges otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.world import (
    NEW_SCHEMA,
    OLD_SCHEMA,
    Job,
    merged,
    pipeline_dict,
    produce,
    prove,
    storage_dict,
)
from tests.stack import Kafka, MakeTopic, Minio

pytestmark = pytest.mark.stack

STEPS = [
    "data.before_claim",
    "data.after_claim",
    "dead_letters.before_claim",
    "dead_letters.after_claim",
    "data.rechecked",
    "dead_letters.before_commit",
    "dead_letters.after_commit",
    "data.before_commit",
    "data.after_commit",
]


def test_kill_minus_nine_at_every_step(
    kafka: Kafka,
    minio: Minio,
    topic: MakeTopic,
    bucket_url: str,
    storage_options: dict[str, str],
    tmp_path: Path,
) -> None:
    """One table lives through all of it: killed at each step in turn, twice, while events come."""
    name = topic(partitions=2)
    pipeline = pipeline_dict(
        kafka.bootstrap_servers, name, f"{bucket_url}/orders", storage_dict(minio)
    )
    # A process that was killed is replaced at once by one with the same name, as a stateful set
    # does it; without, the group waits for the dead one's session.
    pipeline["source"]["kafka"]["properties"]["group.instance.id"] = "one"
    job = Job(tmp_path, pipeline)
    sent: list[object] = []
    for life, step in enumerate(STEPS):
        sent.append(produce(kafka.bootstrap_servers, name, 400, seed=life))
        rules = OLD_SCHEMA if life % 2 else NEW_SCHEMA
        rows_max = (150, 70, 400)[life % 3]
        killed = job.with_(
            schema=rules,
            kill={"step": step, "count": 2 if step.endswith("commit") else 1},
            commit={"every": "200ms", "max_records": rows_max, "max_bytes": "1MiB"},
        )
        assert killed.run() == -9, f"{step} was never reached:\n{job.log()}"
    job.with_(schema=OLD_SCHEMA).finish()
    prove(job, storage_options, merged(*sent))
