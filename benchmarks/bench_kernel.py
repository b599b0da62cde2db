"""What does the kernel cost per event, in CPU time, above a loop that only looks at the bytes?

    python benchmarks/bench_kernel.py [EVENTS] [> benchmarks/results/kernel.json]

Orders of about 283 bytes with five critical fields, in batches of 100,000, with 1 % and 20 % broken
events, `rescue` and `drop`, by the decoder in C (where it was built) and by Python alone. All cases
are measured in turn with the loop, since a machine's speed drifts; the median of the rounds counts.
The whole pipeline may cost 4.5 (rescue) and 3.2 (drop) times a bare consume loop (`yardstick.py`),
and 20 % broken events may at most halve the rate.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from random import Random
from typing import Any

import pyarrow as pa
from surroundings import surroundings

from stream_processor.config.fields import SchemaFile
from stream_processor.processor.kernel import process
from stream_processor.processor.plan import Plan, PlanOptions, Stamp, make_plan
from stream_processor.schema import records
from stream_processor.schema.compile import compile_schema

ROUNDS = 7
BATCH = 100_000
STAMP = Stamp.at(1_700_000_000.0)
FIELDS: list[dict[str, Any]] = [
    {"name": "order_id", "type": "string", "required": True},
    {"name": "amount", "type": "decimal(12,2)", "required": True},
    {"name": "currency", "type": "string", "enum": ["EUR", "USD", "GBP"]},
    {"name": "created_at", "type": "timestamp", "required": True},
    {"name": "customer_id", "type": "string"},
]


def order(number: int, dice: Random) -> dict[str, Any]:
    return {
        "order_id": f"o-{number:010d}",
        "amount": f"{dice.randrange(100_000) / 100:.2f}",
        "currency": dice.choice(["EUR", "USD", "GBP"]),
        "created_at": f"2026-11-{1 + number % 28:02d}T{number % 24:02d}:10:07.{number % 1000:03d}Z",
        "customer_id": f"c-{dice.randrange(50_000):06d}",
        "channel": "web",
        "items": [{"sku": f"sku-{number % 97:04d}", "qty": 1 + number % 9, "price": 12.5}],
        "address": {"city": "Brno", "zip": "60200", "street": "Dlouha 17"},
        "note": "leave at the door",
    }


def broken(number: int, event: dict[str, Any]) -> bytes:
    """Eight ways to be no order."""
    text = json.dumps(event, separators=(",", ":")).encode()
    ways: list[Callable[[], bytes]] = [
        lambda: text[: len(text) // 2],
        lambda: text.replace(b"leave", b"\xffeave"),
        lambda: text.replace(b'"amount":"', b'"amount":"x'),
        lambda: text.replace(b'"currency":"', b'"currency":"X'),
        lambda: text.replace(b'"order_id"', b'"orderid"'),
        lambda: text.replace(b"2026-11", b"2026-13"),
        lambda: text.replace(b'"order_id":', b'"order_id":null,"x":'),
        lambda: b"[" + text + b"]",
    ]
    return ways[number % len(ways)]()


def batch(percent_broken: int) -> pa.RecordBatch:
    dice = Random(11)
    values = []
    for number in range(BATCH):
        event = order(number, dice)
        bad = dice.random() * 100 < percent_broken
        values.append(
            broken(number, event) if bad else json.dumps(event, separators=(",", ":")).encode()
        )
    print(f"{sum(map(len, values)) / BATCH:.0f} bytes per event", file=sys.stderr)
    topics = pa.DictionaryArray.from_arrays(pa.array([0] * BATCH, pa.int32()), ["orders"])
    columns = {
        "topic": topics,
        "topic_id": topics,
        "partition": pa.array([number % 8 for number in range(BATCH)], pa.int32()),
        "offset": pa.array(range(BATCH), pa.int64()),
        "timestamp": pa.array([1_700_000_000_000] * BATCH, records.RAW.field("timestamp").type),
        "timestamp_type": pa.array([1] * BATCH, pa.int8()),
        "key": pa.nulls(BATCH, pa.binary()),
        "value": pa.array(values, pa.binary()),
        "headers": pa.nulls(BATCH, records.HEADERS),
    }
    return pa.RecordBatch.from_arrays(
        [columns[name] for name in records.RAW.names], schema=records.RAW
    )


def bare(raw: pa.RecordBatch) -> int:
    """The least that a program in Python can do with every event."""
    return sum(len(value) for value in raw.column("value").to_pylist())


def nanoseconds(work: Callable[[], object], repeats: int) -> float:
    begin = time.process_time_ns()
    for _ in range(repeats):
        work()
    return (time.process_time_ns() - begin) / (repeats * BATCH)


def main(events: int) -> None:
    facts = surroundings("nothing of ours")
    schema = compile_schema(
        SchemaFile.model_validate({"version": 1, "name": "orders", "fields": FIELDS})
    )
    raws = {percent: batch(percent) for percent in (1, 20)}
    cases: dict[str, tuple[pa.RecordBatch, Plan]] = {
        f"{unknown}, {percent} % broken{', Python alone' if decoder == 'python' else ''}": (
            raws[percent],
            make_plan(
                schema,
                PlanOptions(pipeline_id="bench", unknown_fields=unknown, decoder=decoder),
            ),
        )
        for decoder in ("auto", "python")
        for percent in (1, 20)
        for unknown in ("rescue", "drop")
    }
    repeats = max(1, events // BATCH // ROUNDS)
    spent: dict[str, list[float]] = {name: [] for name in ("bare loop", *cases)}
    for _ in range(ROUNDS):
        spent["bare loop"].append(nanoseconds(lambda: bare(raws[1]), repeats))
        for name, (raw, plan) in cases.items():
            spent[name].append(nanoseconds(lambda r=raw, p=plan: process(r, p, STAMP), repeats))  # type: ignore[misc]  # bound at once
    loop = statistics.median(spent["bare loop"])
    report = {
        "question": (__doc__ or "").splitlines()[0],
        "cpu_ns_per_event": {name: round(statistics.median(all_)) for name, all_ in spent.items()},
        "times_the_bare_loop": {
            name: round(statistics.median(spent[name]) / loop, 1) for name in cases
        },
        "each_round": {name: [round(one) for one in all_] for name, all_ in spent.items()},
        "events_per_round": repeats * BATCH,
        **facts,
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 700_000)
