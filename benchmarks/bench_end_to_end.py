"""What does an event cost from Kafka to MinIO, in units of a loop that only takes it?

Each round runs the yardstick and the pipeline in turn on the same topic: with `rescue`, with `drop`
and with 20 % of the events broken. The ratios are of the same round, since a machine drifts.
"""

from __future__ import annotations

import os
import statistics
from dataclasses import dataclass
from typing import Any

from children import Job, measured
from world import SCHEMA, World, filled_topic

PARTITIONS = 8
BATCHES = 20


@dataclass(frozen=True)
class Case:
    name: str
    broken_ratio: float
    unknown_fields: str


CASES = (
    Case("rescue", 0.01, "rescue"),
    Case("drop", 0.01, "drop"),
    Case("rescue, 20 % broken", 0.2, "rescue"),
)


def measure(world: World, events: int, rounds: int) -> dict[str, Any]:
    topics = {
        ratio: filled_topic(world, events, ratio, PARTITIONS)
        for ratio in sorted({case.broken_ratio for case in CASES})
    }
    measured_rounds = [
        {case.name: _one(world, topics[case.broken_ratio], case, events) for case in CASES}
        for _ in range(rounds)
    ]
    cases = {case.name: _medians([one[case.name] for one in measured_rounds]) for case in CASES}
    good, bad = (
        [
            one[name]["events_per_second"] / one[name]["yardstick_events_per_second"]
            for one in measured_rounds
        ]
        for name in ("rescue", "rescue, 20 % broken")
    )
    return {
        "events": events,
        "partitions": PARTITIONS,
        "rounds": rounds,
        "targets": {
            "cpu_ratio": {"rescue": 4.5, "drop": 3.2},
            "rate_share": 0.2,
            "peak_rss_mib": 700,
            "commit_p50_ms": 150,
            "broken_rate_share": 0.5,
        },
        "medians": cases,
        "broken_rate_share": round(statistics.median(bad) / statistics.median(good), 3),
        "each_round": measured_rounds,
    }


def _one(world: World, topic: str, case: Case, events: int) -> dict[str, Any]:
    bare = measured("yardstick.py", world.servers, topic, PARTITIONS, events)
    # Twenty full batches: the last one must not wait until it is old enough.
    pipeline = world.pipeline(
        topic, unknown_fields=case.unknown_fields, commit={"max_records": events // BATCHES}
    )
    result = Job(pipeline, SCHEMA).result()
    if result["records"] != events:
        raise RuntimeError(f"{result['records']} of {events} events became durable")
    return {
        "cpu_ratio": round(result["cpu_us_per_event"] / bare["cpu_us_per_event"], 2),
        "rate_share": round(result["events_per_second"] / bare["events_per_second"], 3),
        "yardstick_cpu_us_per_event": bare["cpu_us_per_event"],
        "yardstick_events_per_second": bare["events_per_second"],
        "commit_p50_ms": result["stages"]["data"]["p50_ms"],
        "load_average": os.getloadavg()[0],
        **result,
    }


def _medians(rounds: list[dict[str, Any]]) -> dict[str, float]:
    return {
        name: statistics.median(one[name] for one in rounds)
        for name, value in rounds[0].items()
        if isinstance(value, int | float)
    }
