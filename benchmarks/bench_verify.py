"""How long does it take to prove N offsets on MinIO, and in how much memory?

    python benchmarks/bench_verify.py [OFFSETS] [RESULT.json]

Builds a data table of files with a million offsets each (8 partitions, interleaved in runs of 500)
and a dead letter table that holds one offset in a hundred, at random, on a MinIO of its own (or the
one that S3_ENDPOINT names), then runs `verify` in a fresh process and prints seconds and peak
memory. Targets on 2 cores, shared with MinIO: 100 million offsets in 10 s and 1 GiB, a billion in
100 s and 1 GiB.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake import CommitProperties, Transaction, write_deltalake
from surroundings import surroundings

from stream_processor.config.pipeline import StorageConfig
from stream_processor.operations.local_stack import Credentials, create_bucket, start_minio
from stream_processor.operations.snapshots import Tables
from stream_processor.operations.verify import verify
from stream_processor.runtime.object_store import delta_storage_options

PARTITIONS = 8
RUN = 500
FILE_OFFSETS = 1_000_000
TOPIC_ID = "YmVuY2gtdmVyaWZ5LWJlbg"


def build(tables: Tables, offsets: int) -> None:
    options = delta_storage_options(tables.storage)
    random = np.random.default_rng(1)
    row = np.arange(FILE_OFFSETS)
    partition = (row // RUN % PARTITIONS).astype(np.int32)
    base = row // RUN // PARTITIONS * RUN + row % RUN
    each = FILE_OFFSETS // PARTITIONS
    for number in range(offsets // FILE_OFFSETS):
        dead = random.random(FILE_OFFSETS) < 0.01
        upto = (number + 1) * each
        for uri, mask, prefix in (
            (tables.dead_letters, dead, ""),
            (tables.data, ~dead, "_kafka_"),
        ):
            rows = int(mask.sum())
            table = pa.table(
                {
                    "order_id": pa.array(row[mask]),
                    f"{prefix}topic": same("orders", rows),
                    f"{prefix}topic_id": same(TOPIC_ID, rows),
                    f"{prefix}partition": partition[mask],
                    f"{prefix}offset": base[mask] + number * each,
                }
            )
            write_deltalake(
                uri,
                table,
                mode="append",
                storage_options=options,
                commit_properties=CommitProperties(app_transactions=transactions(upto)),
            )
        print(f"\r{(number + 1) * FILE_OFFSETS:,} offsets written", end="", file=sys.stderr)
    print(file=sys.stderr)


def same(text: str, rows: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), [text]).cast(pa.string())


def transactions(upto: int) -> list[Transaction]:
    found = [Transaction(f"bench/{TOPIC_ID}#name=orders", 1)]
    for number in range(PARTITIONS):
        name = f"bench/{TOPIC_ID}/{number}"
        found += [Transaction(name, upto), Transaction(f"{name}#start", 0)]
    return found


def measure(tables: Tables) -> None:
    """Runs in a process of its own, whose peak memory is that of `verify`."""
    wall, cpu = time.perf_counter(), time.process_time()
    report = verify(tables)
    print(
        json.dumps(
            {
                "conclusion": report.conclusion,
                "clean": report.clean,
                "seconds": round(time.perf_counter() - wall, 2),
                "cpu_seconds": round(time.process_time() - cpu, 2),
                "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }
        )
    )


def tables_in(bucket: str) -> Tables:
    storage = StorageConfig(
        endpoint=os.environ["S3_ENDPOINT"],
        access_key_id=os.environ["S3_ACCESS_KEY_ID"],
        secret_access_key=os.environ["S3_SECRET_ACCESS_KEY"],
    )
    uri = f"s3://{bucket}/orders"
    return Tables("bench", uri, f"{uri}__dlq", storage, storage)


def run(offsets: int) -> dict[str, object]:
    facts = surroundings("MinIO")
    keys = os.environ["S3_ACCESS_KEY_ID"], os.environ["S3_SECRET_ACCESS_KEY"]
    bucket = f"bench-verify-{time.time_ns()}"
    create_bucket(os.environ["S3_ENDPOINT"], Credentials(*keys), bucket)
    build(tables_in(bucket), offsets)
    done = subprocess.run(
        [sys.executable, __file__, "--measure", bucket], check=True, capture_output=True
    )
    return {
        "question": "How long does it take to prove N offsets on MinIO, and in how much memory?",
        "offsets": offsets,
        **json.loads(done.stdout),
        **facts,
    }


def main() -> None:
    if sys.argv[1:2] == ["--measure"]:
        measure(tables_in(sys.argv[2]))
        return
    offsets = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000_000
    with tempfile.TemporaryDirectory() as folder:
        if "S3_ENDPOINT" in os.environ:
            result = run(offsets)
        else:
            with start_minio(Path(folder) / "minio") as minio:
                os.environ["S3_ENDPOINT"] = minio.endpoint
                os.environ["S3_ACCESS_KEY_ID"] = minio.access_key
                os.environ["S3_SECRET_ACCESS_KEY"] = minio.secret_key
                result = run(offsets)
    text = json.dumps(result, indent=2)
    if len(sys.argv) > 2:
        Path(sys.argv[2]).write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
