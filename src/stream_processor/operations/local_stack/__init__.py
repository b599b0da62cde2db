"""A real Kafka and a real MinIO on this machine, from pinned parts, without docker or root.

Used by the demo, by `make up`, by the benchmarks and by the tests; nothing else in the package
starts a server. Parts are fetched once into a cache (`cache.py`), checked against hashes that are
committed here, and started on free loopback ports as child processes.

    with start_kafka(Path("lakehouse/.kafka")) as kafka:
        create_topic(kafka.bootstrap_servers, "orders", partitions=4)
"""

from stream_processor.operations.local_stack.buckets import Credentials, create_bucket
from stream_processor.operations.local_stack.kafka import (
    RunningKafka,
    last_bootstrap_servers,
    start_kafka,
)
from stream_processor.operations.local_stack.kafka_parts import fetch_kafka
from stream_processor.operations.local_stack.minio import RunningMinio, start_minio
from stream_processor.operations.local_stack.minio_parts import fetch_minio
from stream_processor.operations.local_stack.process import Lifetime

__all__ = [
    "Credentials",
    "Lifetime",
    "RunningKafka",
    "RunningMinio",
    "create_bucket",
    "fetch_kafka",
    "fetch_minio",
    "last_bootstrap_servers",
    "start_kafka",
    "start_minio",
]
