"""How long does `dlq list` take over N dead letters on MinIO, and in how much memory?

    python benchmarks/bench_dlq_list.py [LETTERS] [RESULT.json]

Builds a dead letter table of files with 100,000 letters each (30 days, 40 causes, payloads of some
200 bytes) and a ledger in which 200,000 of them were replayed or ignored, on a MinIO of its own (or
the one that S3_ENDPOINT names). Then runs `dlq list`, and `dlq show` of one group within one day,
each in a fresh process, and prints seconds and peak memory. Target on 2 cores, shared with MinIO:
5 million letters are listed in 5 s and 1 GiB.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
from bench_verify import same, tables_in
from by_hand import ask_on_minio, new_bucket
from children import measured
from deltalake import CommitProperties, Transaction, write_deltalake
from surroundings import surroundings
from used import Used

from stream_processor.operations.dlq.counts import per_hour
from stream_processor.operations.dlq.groups import groups_of
from stream_processor.operations.dlq.letters import open_letters
from stream_processor.operations.dlq.selection import Selector
from stream_processor.operations.snapshots import Tables
from stream_processor.runtime.object_store import delta_storage_options
from stream_processor.schema import records

FILE_LETTERS = 100_000
DAYS = 30
CAUSES = 40
ACTIONS = 200_000
FIRST_DAY = date(2026, 10, 26)
NOW = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)
TOPIC_ID = "YmVuY2gtbGV0dGVycy1iZQ"


def build(tables: Tables, letters: int) -> None:
    options = delta_storage_options(tables.dead_letter_storage)
    random = np.random.default_rng(1)
    files = letters // FILE_LETTERS
    acted: list[pa.Table] = []
    for number in range(files):
        table = some_letters(random, number, files)
        upto = (number + 1) * FILE_LETTERS
        write_deltalake(
            tables.dead_letters,
            table,
            mode="append",
            partition_by=["failed_date"],
            storage_options=options,
            commit_properties=CommitProperties(
                app_transactions=[
                    Transaction(f"bench/{TOPIC_ID}#name=orders", 1),
                    Transaction(f"bench/{TOPIC_ID}/0", upto),
                    Transaction(f"bench/{TOPIC_ID}/0#start", 0),
                ]
            ),
        )
        acted.append(table.slice(0, ACTIONS // files))
        print(f"\r{upto:,} dead letters written", end="", file=sys.stderr)
    print(file=sys.stderr)
    write_deltalake(tables.ledger, actions(pa.concat_tables(acted)), storage_options=options)


def some_letters(random: np.random.Generator, number: int, files: int) -> pa.Table:
    """One batch of the engine: a moment of one day, causes by the power of habit."""
    rows = FILE_LETTERS
    day = FIRST_DAY + timedelta(days=number * DAYS // files)
    moment = datetime(day.year, day.month, day.day, number % 24, tzinfo=UTC)
    cause = np.minimum(random.geometric(0.15, rows) - 1, CAUSES - 1).astype(np.int32)
    texts = {
        "stage": ["validate"] * CAUSES,
        "code": [("field.type", "field.range", "field.missing")[i % 3] for i in range(CAUSES)],
        "field_path": [f"customer.field_{index}" for index in range(CAUSES)],
        "expected": ["decimal(12,2)"] * CAUSES,
        "fingerprint": [hashlib.sha256(b"%d" % i).hexdigest()[:32] for i in range(CAUSES)],
    }
    payload = pa.array([os.urandom(100).hex().encode() for _ in range(1000)], pa.binary())
    columns: dict[str, pa.Array] = {
        name: pa.DictionaryArray.from_arrays(cause, values).cast(pa.string())
        for name, values in texts.items()
    }
    columns |= {
        "dlq_id": hexadecimal(random, rows),
        "failed_at": pa.repeat(pa.scalar(moment, pa.timestamp("us", "UTC")), rows),
        "failed_date": pa.repeat(pa.scalar(day), rows),
        "fingerprint_version": pa.repeat(pa.scalar(1, pa.int32()), rows),
        "topic": same("orders", rows),
        "topic_id": same(TOPIC_ID, rows),
        "partition": pa.repeat(pa.scalar(0, pa.int32()), rows),
        "offset": pa.array(np.arange(rows) + number * rows),
        "value": payload.take(pa.array(random.integers(0, 1000, rows))),
        "value_size": pa.repeat(pa.scalar(200, pa.int64()), rows),
        "value_sha256": hexadecimal(random, rows),
        "value_truncated": pa.repeat(pa.scalar(value=False), rows),
        "detail_sampled": pa.repeat(pa.scalar(value=False), rows),
    }
    columns["value_preview"] = columns["value"].cast(pa.string())
    return pa.Table.from_arrays(
        [columns.get(field.name, pa.nulls(rows, field.type)) for field in records.DEAD_LETTER],
        schema=records.DEAD_LETTER,
    )


def hexadecimal(random: np.random.Generator, rows: int) -> pa.Array:
    letters = np.frombuffer(b"0123456789abcdef", np.uint8)[random.integers(0, 16, rows * 32)]
    ends = pa.py_buffer(np.arange(0, 32 * rows + 1, 32, dtype=np.int32))
    return pa.Array.from_buffers(pa.string(), rows, [None, ends, pa.py_buffer(letters.tobytes())])


def actions(letters: pa.Table) -> pa.Table:
    rows = letters.num_rows
    kinds = pa.array(["replayed", "ignored", "failed_again"])
    columns = {name: letters[name] for name in ("dlq_id", "topic", "topic_id", "partition")} | {
        "offset": letters["offset"],
        "action_id": letters["value_sha256"],
        "action": kinds.take(pa.array(np.arange(rows) % 3)),
        "at": pa.repeat(pa.scalar(NOW, pa.timestamp("us", "UTC")), rows),
    }
    return pa.Table.from_arrays(
        [columns.get(field.name, pa.nulls(rows, field.type)) for field in records.ACTION],
        schema=records.ACTION,
    )


def measure(tables: Tables, what: str) -> None:
    """Runs in a process of its own, whose peak memory is that of the verb."""
    used = Used()
    letters = open_letters(tables)
    if what == "list":
        found = groups_of(letters, Selector(status="open"), NOW, 50)
        said = {"groups": found.matching, "records": dict(found.counts)}
    else:
        day = datetime(2026, 11, 10, tzinfo=UTC)
        group = hashlib.sha256(b"3").hexdigest()[:8]
        selector = Selector(ids=(group,), since=day, until=day + timedelta(hours=23, minutes=59))
        said = {"hours": len(per_hour(letters, selector))}
        said["groups"] = groups_of(letters, selector, NOW).matching
    print(json.dumps(said | used.figures()))


def run(letters: int) -> dict[str, object]:
    facts = surroundings("MinIO")
    bucket = new_bucket("bench-dlq-list")
    build(tables_in(bucket), letters)
    return {
        "question": "How long does `dlq list` take over N dead letters, and in how much memory?",
        "letters": letters,
        "actions": ACTIONS,
        **{
            what: measured(__file__, "--measure", bucket, what)
            for what in ("list", "group_of_a_day")
        },
        **facts,
    }


def main() -> None:
    if sys.argv[1:2] == ["--measure"]:
        measure(tables_in(sys.argv[2]), sys.argv[3])
        return
    ask_on_minio(run, 5_000_000)


if __name__ == "__main__":
    main()
