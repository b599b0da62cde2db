"""The yardstick: a bare loop of `consume(1000)` that looks at nothing, as a process of its own.

    python benchmarks/yardstick.py SERVERS TOPIC PARTITIONS EVENTS

With the same client properties as the pipeline's own consumer, since waiting makes CPU time look
cheaper. Prints one line of JSON; CPU and wall time count from the assignment to the last event.
"""

from __future__ import annotations

import json
import resource
import sys
import time
import uuid

from confluent_kafka import Consumer, TopicPartition

from stream_processor.config.pipeline import KafkaSource as KafkaConfig
from stream_processor.sources.kafka_settings import KafkaSettings, consumer_properties


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main(servers: str, topic: str, partitions: int, events: int) -> None:
    settings = KafkaSettings(
        KafkaConfig(bootstrap_servers=servers, topics=(topic,)), group_id=uuid.uuid4().hex
    )
    consumer = Consumer(consumer_properties(settings) | {"enable.partition.eof": "false"})
    cpu, wall = cpu_seconds(), time.perf_counter()
    consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    seen = 0
    while seen < events:
        seen += len(consumer.consume(1000, 1.0))
    cpu, wall = cpu_seconds() - cpu, time.perf_counter() - wall
    consumer.close()
    print(
        json.dumps(
            {
                "cpu_us_per_event": round(cpu / events * 1e6, 3),
                "events_per_second": round(events / wall),
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
