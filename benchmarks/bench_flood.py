"""How many dead letters a second reach the table on MinIO when every event is broken?

Two floods: all events broken in one way, as a bad release does it, and in fourteen ways, the worst
that a topic can bring. Each is written as `surge` does and, for comparison, with every dead letter
described in full (`none`). The first batch of a surge is described in full too: it opens the
breaker. Counts from the first claim to the last durable batch.
"""

from __future__ import annotations

import os
import statistics
from typing import Any

from children import Job
from world import SCHEMA, World, filled_topic, produce

from stream_processor.operations.orders import BREAKERS, orders

PARTITIONS = 8
BATCH = 100_000
ONE_WAY = "an amount written as people do"
CASES = {
    "surge, one cause": ("one", "surge"),
    "surge, fourteen causes": ("fourteen", "surge"),
    "none, one cause": ("one", "none"),
    "none, fourteen causes": ("fourteen", "none"),
}


def measure(world: World, events: int, rounds: int) -> dict[str, Any]:
    topics = {"one": _one_way(world, events), "fourteen": filled_topic(world, events, 1.0)}
    found = [
        {
            name: _one(world, topics[which], action, events)
            for name, (which, action) in CASES.items()
        }
        for _ in range(rounds)
    ]
    return {
        "events": events,
        "partitions": PARTITIONS,
        "rounds": rounds,
        "targets": {"dead_letters_per_second": 100_000},
        "dead_letters_per_second": {
            name: round(statistics.median(one[name]["events_per_second"] for one in found))
            for name in CASES
        },
        "each_round": found,
    }


def _one_way(world: World, events: int) -> str:
    topic = world.topic(PARTITIONS)
    break_ = BREAKERS[ONE_WAY]
    sound = orders(events, seed=1, broken_ratio=0.0)
    broken = ((key, break_(value)) for key, value in sound if value is not None)
    produce(world.servers, topic, broken, PARTITIONS)
    return topic


def _one(world: World, topic: str, action: str, events: int) -> dict[str, Any]:
    pipeline = world.pipeline(topic, commit={"max_records": BATCH})
    pipeline["dlq"] = {"breaker": {"action": action}}
    load = os.getloadavg()[0]
    result = Job(pipeline, SCHEMA).result()
    if (result["records"], result["dead_letters"]) != (events, events):
        raise RuntimeError(f"{result['dead_letters']} of {events} events became dead letters")
    return {"load_average": load, **result}
