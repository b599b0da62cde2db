"""How old is an event when an outside reader sees its row, at 20,000 events/s?

A producer and a reader, each a process of its own, on either side of the pipeline, which closes a
batch every 600 ms. Kafka stamps each event when it appends it (LogAppendTime); the reader polls the
table on MinIO every 100 ms as any client would, reads the rows of each new version, and only then
takes the time.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from children import HERE, Job
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from producer import RATE
from world import SCHEMA, World

PARTITIONS = 8
COMMIT_EVERY = "600ms"
WARM_UP_SECONDS_MAX = 5.0
POLL_SECONDS = 0.1


def measure(world: World, seconds: float) -> dict[str, Any]:
    topic = world.topic(PARTITIONS, {"message.timestamp.type": "LogAppendTime"})
    pipeline = world.pipeline(topic, commit={"every": COMMIT_EVERY})
    job = Job(pipeline, SCHEMA, until_latest=False)
    producer = subprocess.Popen(
        [sys.executable, str(HERE / "producer.py"), world.servers, topic, str(PARTITIONS)]
    )
    sink = pipeline["sink"]["delta"]
    reader = subprocess.Popen(
        [sys.executable, __file__, json.dumps(_options(sink)), sink["table"], str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        seen = json.loads(reader.communicate(timeout=seconds + 120)[0])
        producer.send_signal(signal.SIGTERM)
        producer.wait(30)
        used = job.stop()
    finally:
        for process in (producer, reader):
            if process.poll() is None:
                process.kill()
            process.wait()
        job.end()
    return {
        "events_per_second_sent": RATE,
        "commit_every": COMMIT_EVERY,
        "targets": {"p50_seconds": 1.5, "p99_seconds": 3.0},
        **seen,
        "commit_p50_ms": used["stages"]["data"]["p50_ms"],
        "cpu_us_per_event": used["cpu_us_per_event"],
    }


def _options(sink: Mapping[str, Any]) -> dict[str, str]:
    storage = sink["storage"]
    return {
        "AWS_ENDPOINT_URL": storage["endpoint"],
        "AWS_ACCESS_KEY_ID": storage["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": storage["secret_access_key"],
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }


def read(options: dict[str, str], uri: str, seconds: float) -> dict[str, Any]:
    """The outside reader; runs in a process of its own."""
    table = _opened(uri, options)
    known = set(table.file_uris())
    warm_up = min(seconds, WARM_UP_SECONDS_MAX)
    ages, versions, began = [], 0, time.monotonic()
    while time.monotonic() - began < warm_up + seconds:
        time.sleep(POLL_SECONDS)
        table.update_incremental()
        files = set(table.file_uris()) - known
        if not files:
            continue
        stamps = _stamps(table, files)
        now = time.time()
        known |= files
        if time.monotonic() - began >= warm_up:
            versions += 1
            ages.append(now - stamps)
    found = np.concatenate(ages)
    return {
        "rows_seen": len(found),
        "versions_seen": versions,
        "p50_seconds": round(float(np.percentile(found, 50)), 2),
        "p99_seconds": round(float(np.percentile(found, 99)), 2),
        "max_seconds": round(float(found.max()), 2),
    }


def _opened(uri: str, options: dict[str, str]) -> DeltaTable:
    deadline = time.monotonic() + 60
    while True:
        try:
            return DeltaTable(uri, storage_options=options)
        except TableNotFoundError:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)


def _stamps(table: DeltaTable, files: set[str]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """When Kafka appended each row of these files, in seconds."""
    names = {Path(uri).name for uri in files}
    data = table.to_pyarrow_dataset()
    parts = [
        fragment.to_table(columns=["_kafka_timestamp"])
        for fragment in data.get_fragments()
        if Path(fragment.path).name in names
    ]
    column = pa.concat_tables(parts)["_kafka_timestamp"]
    return np.asarray(pc.cast(column, pa.int64()).to_numpy() / 1e6, dtype=np.float64)


if __name__ == "__main__":
    print(json.dumps(read(json.loads(sys.argv[1]), sys.argv[2], float(sys.argv[3]))))
