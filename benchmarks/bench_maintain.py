"""What do small commits cost a table, with maintenance and without?

    python benchmarks/bench_maintain.py [COMMITS] [RESULT.json]

A week of commits every second is 604,800; this is a piece of it, as fast as the store takes it:
COMMITS commits (2,000 if absent: half an hour) of 2,000 rows each (a fiftieth of 100,000 events/s)
into a table on a MinIO of its own (or the one that S3_ENDPOINT names), once left alone, once with
`maintain` after every 200. Says after each 200: files, seconds to open the table and its ids,
seconds of a query of one column, seconds of a commit; and of each maintenance seconds and peak
memory, in a process of its own. Nothing is old enough to be vacuumed or cleaned within a week, so
what was joined stays in checkpoints here, as it would.
"""

from __future__ import annotations

import json
import statistics
import sys
import threading
import time
from typing import Any

import numpy as np
import pyarrow as pa
from by_hand import ask_on_minio, new_bucket, storage
from children import measured
from deltalake import DeltaTable
from surroundings import surroundings
from used import Used

from stream_processor.operations.delta_access import delta_options
from stream_processor.operations.dlq.replay_request import Doer, Surroundings
from stream_processor.operations.maintain.places import Place
from stream_processor.operations.maintain.request import MaintainRequest
from stream_processor.operations.maintain.run import maintain
from stream_processor.runtime.clock import SystemClock
from stream_processor.runtime.object_store import open_store
from stream_processor.schema.offset_ranges import OFFSET_RANGE, offsets_uri
from stream_processor.sinks import delta_log
from stream_processor.sinks.delta_commit import commit
from stream_processor.sinks.delta_create import TableSpec, create, load_at, own
from stream_processor.sinks.delta_offsets import OffsetRanges

ROWS = 2_000
EVERY = 200
TOPIC_ID = "YmVuY2gtbWFpbnRhaW4tYg"
SCHEMA = pa.schema(
    [
        ("order_id", pa.string()),
        ("amount", pa.float64()),
        ("note", pa.string()),
        ("_kafka_topic", pa.string()),
        ("_kafka_topic_id", pa.string()),
        ("_kafka_partition", pa.int32()),
        ("_kafka_offset", pa.int64()),
    ]
)


def place_at(uri: str) -> Place:
    options = delta_options(storage())
    spec = TableSpec(uri, SCHEMA, "bench", options=options)
    beside = TableSpec(offsets_uri(uri), OFFSET_RANGE, "bench", options=options)
    ranges = OffsetRanges(beside, open_store(beside.uri, storage()))
    return Place("rows", spec, open_store(uri, storage()), ranges)


def rows(number: int, random: np.random.Generator) -> pa.Table:
    first = number * ROWS
    columns = [
        [f"O-{first + index:012d}" for index in range(ROWS)],
        random.random(ROWS).round(2),
        [f"note {value:08x}" for value in random.integers(0, 2**32, ROWS)],
        ["orders"] * ROWS,
        [TOPIC_ID] * ROWS,
        np.zeros(ROWS, np.int32),
        np.arange(first, first + ROWS),
    ]
    return pa.table(columns, schema=SCHEMA)


def fill(uri: str, commits: int, maintained: Any) -> dict[str, Any]:
    """One table; `maintained` is called after every 200 commits."""
    place, random = place_at(uri), np.random.default_rng(1)
    table = create(place.spec, place.store)
    own(place.spec, table)
    points, upkeep, took = [], [], []
    for number in range(commits):
        if number % 20 == 0:
            table = load_at(place.spec, table.version())
        name = f"bench/{TOPIC_ID}/0"
        part = {"topic": "orders", "from": number * ROWS, "to": (number + 1) * ROWS, "rows": ROWS}
        note = {"kind": "batch", "partitions": {f"{TOPIC_ID}/0": part}}
        batch = rows(number, random)
        began = time.perf_counter()
        commit(uri, table, batch, {name: (number + 1) * ROWS, f"{name}#start": 0}, note)
        took.append(time.perf_counter() - began)
        if (number + 1) % EVERY == 0:
            upkeep += [done] if (done := maintained(uri)) else []
            points.append({"commits": number + 1, **look(place), **commits_in(took)})
            took = []
    return {"points": points, "maintenances": upkeep}


def commits_in(took: list[float]) -> dict[str, float]:
    return {"commit_p50_ms": round(statistics.median(took) * 1000, 1)}


def look(place: Place) -> dict[str, Any]:
    """As a reader, and as a process that takes over."""
    began = time.perf_counter()
    table = DeltaTable(place.spec.uri, storage_options=dict(place.spec.options))
    delta_log.transactions(place.store, table.version())
    opened = time.perf_counter() - began
    began = time.perf_counter()
    total = 0
    for batch in table.to_pyarrow_dataset().to_batches(columns=["amount"]):
        total += batch.num_rows
    return {
        "files": len(table.file_uris()),
        "open_ms": round(opened * 1000),
        "query_ms": round((time.perf_counter() - began) * 1000),
        "rows": total,
    }


def left_alone(_: str) -> None:
    return None


def maintained(uri: str) -> dict[str, Any]:
    return measured(__file__, "--maintain", uri)


def maintain_once(uri: str) -> None:
    used = Used()
    around = Surroundings(Doer("r-bench", "bench"), SystemClock(), threading.Event())
    report = maintain("bench", [place_at(uri)], MaintainRequest(), around).tables[0]
    said = {"joined": report.joined, "made": report.made, "folded": report.folded}
    print(json.dumps(said | used.figures()))


def run(commits: int) -> dict[str, Any]:
    facts = surroundings("MinIO")
    bucket = new_bucket("bench-maintain")
    return {
        "question": "What do small commits cost a table, with maintenance and without?",
        "commits": commits,
        "rows_per_commit": ROWS,
        "left_alone": fill(f"s3://{bucket}/alone", commits, left_alone),
        "maintained": fill(f"s3://{bucket}/tended", commits, maintained),
        **facts,
    }


def main() -> None:
    if sys.argv[1:2] == ["--maintain"]:
        maintain_once(sys.argv[2])
        return
    ask_on_minio(run, 2_000)


if __name__ == "__main__":
    main()
