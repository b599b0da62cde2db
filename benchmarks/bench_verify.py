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
import sys

import numpy as np
import pyarrow as pa
from by_hand import ask_on_minio, new_bucket, storage
from children import measured
from deltalake import CommitProperties, Transaction, write_deltalake
from surroundings import surroundings
from used import Used

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
    used = Used()
    report = verify(tables)
    said = {"conclusion": report.conclusion, "clean": report.clean}
    print(json.dumps(said | used.figures()))


def tables_in(bucket: str) -> Tables:
    uri = f"s3://{bucket}/orders"
    return Tables("bench", uri, f"{uri}__dlq", storage(), storage())


def run(offsets: int) -> dict[str, object]:
    facts = surroundings("MinIO")
    bucket = new_bucket("bench-verify")
    build(tables_in(bucket), offsets)
    return {
        "question": "How long does it take to prove N offsets on MinIO, and in how much memory?",
        "offsets": offsets,
        **measured(__file__, "--measure", bucket),
        **facts,
    }


def main() -> None:
    if sys.argv[1:2] == ["--measure"]:
        measure(tables_in(sys.argv[2]))
        return
    ask_on_minio(run, 100_000_000)


if __name__ == "__main__":
    main()
