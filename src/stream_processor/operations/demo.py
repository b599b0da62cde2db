"""The demo: real Kafka, orders of which some are broken, tables, and the proof of them."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stream_processor.errors import TableReplaced, Unavailable
from stream_processor.operations.assemble import Environment, RunTerms
from stream_processor.operations.demo_report import (
    Cause,
    DemoReport,
    Example,
    Places,
    Stopped,
    Totals,
)
from stream_processor.operations.kafka_readers import Silent
from stream_processor.operations.local_mode import (
    TOPIC,
    built_in_kafka,
    further_orders,
    kafka_folder,
    variables,
)
from stream_processor.operations.local_stack.progress import Advance, shown
from stream_processor.operations.orders import SPACING_MS
from stream_processor.operations.run import RunRequest, run
from stream_processor.operations.snapshots import Tables, open_dead_letters, tables_of
from stream_processor.operations.verify import verify
from stream_processor.ports import Offsets
from stream_processor.runtime.clock import SystemClock
from stream_processor.runtime.config_loader import LoadedPipeline, load_pipeline
from stream_processor.runtime.retry import Stop
from stream_processor.schema.display import printable
from stream_processor.sinks.delta_errors import mapped
from stream_processor.sinks.kafka_producer import KafkaProducer
from stream_processor.sources.kafka_admin import end_offsets

SECONDS_MAX = 300.0
"""The job alone; on a small machine it takes about ten seconds."""

# Small batches, so that one sees them come: in production a commit is larger and rarer.
_OVERRIDES = {"sink.delta.commit.every": "1s", "sink.delta.commit.max_records": "20000"}
_LOOK_EVERY = 1000
_MESSAGE_LIMIT = 200
_PREVIEW_LIMIT = 76
_EXAMPLE_COLUMNS = (
    "stage", "code", "topic", "partition", "offset", "message", "value_preview", "value",
)  # fmt: skip  # one name per line would be eight lines


@dataclass(frozen=True, slots=True)
class DemoRequest:
    """What the verb `demo` was asked: where the tables go, and how many new events are made."""

    folder: Path = Path("lakehouse")
    events: int = 100_000


def demo(request: DemoRequest, stop: Stop) -> DemoReport | Stopped:
    """Make events, process them, verify. Progress is shown on stderr. Called by the CLI.

    `stop` is set by Ctrl-C or SIGTERM: it then ends early and cleanly, and the next call continues.
    The Kafka that it starts ends with it. Whatever variables name another Kafka or store, the demo
    uses its own. Raises `Unavailable` when Kafka cannot be fetched or started or runs already in
    that folder, and when the job does not get through.
    """
    watch = _Watch()
    try:
        done = _through_kafka(request, watch, stop)
    except Unavailable:
        if not stop.is_set():  # else it is only what the signal has cut short
            raise
    if stop.is_set():
        return Stopped(watch.rows + watch.dead.total())
    return _report(watch, done)


@dataclass(frozen=True, slots=True)
class _Done:
    """What the report needs beside the counts: `began` in seconds since the epoch."""

    loaded: LoadedPipeline
    kafka_folder: Path
    made: int
    end: int
    began: float
    seconds: float


def _through_kafka(request: DemoRequest, watch: _Watch, stop: Stop) -> _Done:
    """Everything that needs Kafka, which has ended when this returns."""
    lakehouse = str(request.folder)
    with built_in_kafka(lakehouse) as kafka:
        servers = kafka.bootstrap_servers
        names = variables({"LAKEHOUSE": lakehouse}, servers)
        loaded = load_pipeline(None, environment=names, overrides=_OVERRIDES)
        made = 0 if stop.is_set() else _produce(request.events, servers, stop)
        end = sum(end_offsets(servers, TOPIC).values())
        began, started = time.time(), time.monotonic()
        if not stop.is_set():
            with shown("Orders into Delta tables", request.events) as watch.advance:
                _run(loaded, watch, stop)
        seconds = time.monotonic() - started
    return _Done(loaded, kafka_folder(lakehouse), made, end, began, seconds)


def _produce(count: int, servers: str, stop: Stop) -> int:
    """Invent the orders of the last minutes; return how many were sent."""
    events = further_orders(servers, count, ago_ms=count * SPACING_MS)
    made = 0
    with (
        shown(f"Orders into Kafka, topic {TOPIC}", count) as advance,
        KafkaProducer({"bootstrap.servers": servers}) as producer,
    ):
        for key, value in events:
            producer.send(TOPIC, key, value)
            made += 1
            if made % _LOOK_EVERY == 0:
                advance(_LOOK_EVERY)
                if stop.is_set():
                    break
    return made


def _run(loaded: LoadedPipeline, watch: _Watch, stop: Stop) -> None:
    """The main job, up to what Kafka holds now."""
    terms = RunRequest(RunTerms(until_latest=True), seconds_max=SECONDS_MAX)
    try:
        run(loaded.pipeline, loaded.schema_file, terms, Environment(watch, SystemClock(), stop))
    except TableReplaced as replaced:
        table = loaded.pipeline.sink.delta.table
        raise TableReplaced(
            replaced.message, hint=f"to begin anew, remove the whole folder of {table}, Kafka's too"
        ) from replaced


@dataclass(slots=True)
class _Watch(Silent):
    """The demo's `ports.Observer`: counts, moves the bar, and says what is in the way."""

    rows: int = 0
    dead: Counter[tuple[str, str]] = field(default_factory=Counter)
    trouble: str = ""
    advance: Advance | None = None

    def state(self, state: str, reason: str = "") -> None:
        reason = printable(reason, _MESSAGE_LIMIT)
        if reason and reason != self.trouble and state != "failed":
            with suppress(OSError):  # an observer never raises, whoever has closed our stderr
                sys.stderr.write(f"{state}: {reason}\n")
        self.trouble = reason

    def settled(self, upto: Offsets, dead_by_code: Mapping[tuple[str, str], int]) -> None:
        rows = sum(advance.rows for advance in upto.values())
        self.rows += rows
        self.dead.update(dead_by_code)
        if self.advance is not None:
            self.advance(rows + sum(dead_by_code.values()))


def _report(watch: _Watch, done: _Done) -> DemoReport:
    tables = tables_of(done.loaded.pipeline)
    proof = verify(tables)
    if proof.total(lambda p: p.upto) < done.end:
        raise Unavailable(
            f"The demo did not get through within {SECONDS_MAX:.0f} s.",
            hint=watch.trouble or "run it again: it continues where it ended",
        )
    examples = _examples(tables, done.began)
    return DemoReport(
        made=done.made,
        waiting=max(0, watch.rows + watch.dead.total() - done.made),
        rows=watch.rows,
        causes=tuple(
            Cause(stage, code, count, examples.get((stage, code)))
            for (stage, code), count in watch.dead.most_common()
        ),
        seconds=done.seconds,
        totals=Totals(
            rows=proof.total(lambda p: p.rows),
            dead_letters=proof.total(lambda p: p.dead_letters),
            clean=proof.clean,
            conclusion=proof.conclusion,
        ),
        places=Places(tables.data, tables.dead_letters, str(done.kafka_folder)),
    )


def _examples(tables: Tables, since: float) -> dict[tuple[str, str], Example]:
    """One dead letter for every code of this run."""
    dead = open_dead_letters(tables)
    found: dict[tuple[str, str], Example] = {}
    if dead is None:
        return found
    moment = pa.scalar(datetime.fromtimestamp(since, UTC), pa.timestamp("us", tz="UTC"))
    with mapped(dead.uri, "reading"):
        batches = dead.table.to_pyarrow_dataset().to_batches(
            columns=list(_EXAMPLE_COLUMNS), filter=pc.field("failed_at") >= moment
        )
        for batch in batches:
            for row in batch.to_pylist():
                found.setdefault((row["stage"], row["code"]), _example(row))
    return found


def _example(row: Mapping[str, Any]) -> Example:
    preview = None if row["value"] is None else row["value_preview"] or ""
    return Example(
        topic=printable(row["topic"], _MESSAGE_LIMIT),
        partition=row["partition"],
        offset=row["offset"],
        message=printable(row["message"] or "", _MESSAGE_LIMIT),
        preview=None if preview is None else printable(preview, _PREVIEW_LIMIT),
    )
