"""Does memory stay flat under steady load, and inside its limit whatever waits in Kafka?

20,000 events/s for the time that is asked for, resident memory twice a second. The slope is that of
the second half, when every buffer has seen its largest batch. Then a backlog, read as fast as it
goes with the limits that a pipeline file has by default.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
from children import HERE, Job
from producer import RATE
from world import SCHEMA, World, filled_topic

PARTITIONS = 8
MIB = 2**20
SAMPLES_MIN = 10


def measure(world: World, seconds: float, backlog: int) -> dict[str, Any]:
    return {
        "targets": {"slope_mib_per_minute": "about 0", "peak_rss_mib": 700},
        "steady": _steady(world, seconds),
        "backlog": _backlog(world, backlog),
    }


def _steady(world: World, seconds: float) -> dict[str, Any]:
    topic = world.topic(PARTITIONS)
    job = Job(world.pipeline(topic, commit={"every": "1s"}), SCHEMA, until_latest=False)
    producer = subprocess.Popen(
        [sys.executable, str(HERE / "producer.py"), world.servers, topic, str(PARTITIONS)]
    )
    try:
        time.sleep(seconds)  # the time that is measured
        producer.send_signal(signal.SIGTERM)
        producer.wait(30)
        result = job.stop()
    finally:
        if producer.poll() is None:
            producer.kill()
        producer.wait()
        job.end()
    samples = job.lines("rss")
    return {
        "seconds": seconds,
        "events_per_second_sent": RATE,
        "records": result["records"],
        "commits": result["commits"],
        "slope_mib_per_minute": _slope(samples[len(samples) // 2 :]),
        "rss_mib_every_tenth": [
            round(size / MIB) for _, size in samples[:: max(1, len(samples) // 10)]
        ],
        "peak_rss_mib": result["peak_rss_mib"],
    }


def _slope(samples: list[tuple[float, int]]) -> float | None:
    """Of the line through them all, in MiB a minute; None for a handful of samples."""
    if len(samples) < SAMPLES_MIN:
        return None
    seconds, sizes = np.array(samples, dtype=np.float64).T
    slope = np.polyfit(seconds - seconds[0], sizes, 1)[0]
    return round(float(slope) * 60 / MIB, 2)


def _backlog(world: World, events: int) -> dict[str, Any]:
    topic = filled_topic(world, events, 0.01, PARTITIONS)
    result = Job(world.pipeline(topic, commit={"every": "2s"}), SCHEMA).result()
    return {
        "events": events,
        "commits": result["commits"],
        "peak_rss_mib": result["peak_rss_mib"],
    }
