"""What does a batch cost above a bare `consume(1000)` loop that looks at nothing?

    python benchmarks/bench_source.py BOOTSTRAP_SERVERS [EVENTS]

Both read the same topic (8 partitions, events of 283 bytes) in turn and with the same properties
of the client, since a machine's speed drifts and waiting makes CPU time look cheaper. Prints
nanoseconds of process CPU per event, all threads included; the target is at most
500 ns above the loop.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
import uuid

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from stream_processor.config.pipeline import KafkaSource as KafkaConfig
from stream_processor.errors import Rebalanced
from stream_processor.operations.kafka_readers import Silent
from stream_processor.ports import StartAt
from stream_processor.runtime.clock import SystemClock
from stream_processor.sources.kafka import KafkaSource
from stream_processor.sources.kafka_settings import KafkaSettings, consumer_properties
from stream_processor.sources.limits import BatchLimits

PARTITIONS = 8
ROUNDS = 5


class EventsOnly(Silent):
    def event(self, name: str, **fields: object) -> None:
        print(name, fields, file=sys.stderr)


def fill(servers: str, topic: str, events: int) -> None:
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result()
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 20, "compression.type": "lz4"})
    for number in range(events):
        producer.produce(
            topic, b'{"order_id":%012d,' % number + b"x" * 252 + b"}", partition=number % 8
        )
        if number % 10_000 == 0:
            producer.flush()
    producer.flush()


def yardstick(servers: str, topic: str, events: int) -> tuple[float, float]:
    """(CPU, wall) nanoseconds per event of a loop that only takes the messages."""
    settings = KafkaSettings(
        KafkaConfig(bootstrap_servers=servers, topics=(topic,)), group_id=uuid.uuid4().hex
    )
    consumer = Consumer(consumer_properties(settings))
    consumer.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
    seen = len(consumer.consume(1, 30))
    cpu, wall = time.process_time_ns(), time.perf_counter_ns()
    while seen < events:
        seen += len(consumer.consume(1000, 1.0))
    cost = (time.process_time_ns() - cpu) / events, (time.perf_counter_ns() - wall) / events
    consumer.close()
    return cost


def source(servers: str, topic: str, events: int) -> tuple[float, float]:
    """The same of our source, with batches of 100,000 events."""
    settings = KafkaSettings(
        KafkaConfig(bootstrap_servers=servers, topics=(topic,)), group_id=uuid.uuid4().hex
    )
    ours = KafkaSource(settings, BatchLimits(100_000, 64 * 2**20, 5.0), EventsOnly(), SystemClock())
    try:
        while True:
            ours.poll()
    except Rebalanced:
        ours.start({part: StartAt(0) for part in ours.assignment()})
    seen = 0
    ours.interrupt()
    cpu, wall = time.process_time_ns(), time.perf_counter_ns()
    while seen < events:
        seen += ours.poll().records.num_rows
    cost = (time.process_time_ns() - cpu) / events, (time.perf_counter_ns() - wall) / events
    ours.close()
    return cost


def main(servers: str, events: int) -> None:
    topic = f"bench-source-{uuid.uuid4().hex[:8]}"
    fill(servers, topic, events)
    bare, ours = [], []
    for _ in range(ROUNDS):
        bare.append(yardstick(servers, topic, events))
        ours.append(source(servers, topic, events))
    cpu_bare, wall_bare = (statistics.median(column) for column in zip(*bare, strict=True))
    cpu_ours, wall_ours = (statistics.median(column) for column in zip(*ours, strict=True))
    report = {
        "events": events,
        "rounds": ROUNDS,
        "yardstick_cpu_ns": round(cpu_bare),
        "source_cpu_ns": round(cpu_ours),
        "above_yardstick_ns": round(cpu_ours - cpu_bare),
        "yardstick_wall_ns": round(wall_bare),
        "source_wall_ns": round(wall_ours),
        "each_round_cpu_ns": [[round(b[0]), round(o[0])] for b, o in zip(bare, ours, strict=True)],
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 500_000)
