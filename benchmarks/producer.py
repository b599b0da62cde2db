"""Sends 20,000 orders a second, evenly, until SIGTERM. For the benchmarks.

python benchmarks/producer.py SERVERS TOPIC PARTITIONS
"""

from __future__ import annotations

import signal
import sys
import threading
import time

from confluent_kafka import Producer

from stream_processor.operations.orders import orders

RATE = 20_000
STEPS_PER_SECOND = 50


def main(servers: str, topic: str, partitions: int) -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 5, "compression.type": "lz4"})
    events = enumerate(orders(10**9, seed=1))
    due = time.monotonic()
    while not stop.is_set():
        for _ in range(RATE // STEPS_PER_SECOND):
            number, (key, value) = next(events)
            producer.produce(topic, value, key, partition=number % partitions)
        producer.poll(0)
        due += 1 / STEPS_PER_SECOND
        stop.wait(max(0.0, due - time.monotonic()))
    producer.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
