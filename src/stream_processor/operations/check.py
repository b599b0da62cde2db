"""`check`: looks at what a run would meet, and changes none of it.

The file is checked by the loader; here are the probes of Kafka, store and tables, and the sample.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from stream_processor.config.fields import SchemaFile
from stream_processor.config.pipeline import Pipeline, StorageConfig
from stream_processor.errors import StreamProcessorError, TableRefused
from stream_processor.operations.assemble import data_table, dead_letter_table, plan_of
from stream_processor.operations.kafka_readers import sample_reader
from stream_processor.processor.kernel import process
from stream_processor.processor.plan import Stamp
from stream_processor.runtime.object_store import local_folder, open_store
from stream_processor.runtime.store_proof import check_reachable, prove_conditional_create
from stream_processor.sinks.delta_create import (
    TableSpec,
    is_empty,
    load,
    owner,
    ownerless,
    refuse_unless_writable,
)
from stream_processor.sinks.delta_evolve import missing_columns
from stream_processor.sinks.delta_rules import rules_of

CAUSES_MAX = 20


@dataclass(frozen=True, slots=True)
class Probe:
    """One line of `check`: what was looked at, how it is, and what to do if it is not well."""

    subject: str
    ok: bool
    text: str
    seconds: float
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """Events of the sample that would be dead letters for the same reason, with one of them."""

    count: int
    stage: str
    code: str
    field_path: str | None
    expected: str | None
    actual: str | None
    message: str


@dataclass(frozen=True, slots=True)
class SampleReport:
    """What would become of the newest events: rows + dead_letters + skipped = records."""

    records: int
    rows: int
    dead_letters: int
    skipped: int
    causes: tuple[Cause, ...]


def probes(pipeline: Pipeline, schema_file: SchemaFile) -> Iterator[Probe]:
    """Look at Kafka, the store and both tables, one after the other; never raises what is foreseen.

    Called by `check --connect`, which shows each as it comes. The proof of the store makes and
    removes keys of its own; nothing else is written, and no group is joined.
    """

    def topics() -> str:
        found = sample_reader(pipeline).topics().items()
        return ", ".join(f"topic {name}: {topic.partitions} partitions" for name, topic in found)

    def group() -> str:
        known = sample_reader(pipeline).committed()
        return f"group {pipeline.group_id}: offsets of {known} partitions"

    kafka_works = _probe("kafka", topics)
    yield kafka_works
    if kafka_works.ok:
        yield _probe("kafka", group)
    plan = plan_of(pipeline, schema_file)
    for spec, storage in (
        (data_table(pipeline, plan), pipeline.sink.delta.storage),
        (dead_letter_table(pipeline), pipeline.dead_letter_storage),
    ):
        store = _probe("store", partial(_store, spec.uri, storage))
        yield store
        if store.ok:
            yield _probe("table", partial(_table, spec))


def sample(pipeline: Pipeline, schema_file: SchemaFile, records_max: int) -> SampleReport:
    """Judge the newest events by the pipeline's rules; writes nothing and commits no offset.

    Called by `check --sample`. Raises `Unavailable` when Kafka cannot be read.
    """
    raw = sample_reader(pipeline).newest(records_max)
    done = process(raw, plan_of(pipeline, schema_file), Stamp.at(time.time()))
    firsts: dict[tuple[str, str, str | None], dict[str, str]] = {}
    counts: Counter[tuple[str, str, str | None]] = Counter()
    names = ["stage", "code", "field_path", "expected", "actual", "message"]
    for letter in done.dead.select(names).to_pylist():
        cause = (letter["stage"], letter["code"], letter["field_path"])
        counts[cause] += 1
        firsts.setdefault(cause, letter)
    causes = tuple(Cause(n, **firsts[cause]) for cause, n in counts.most_common(CAUSES_MAX))
    return SampleReport(
        records=raw.num_rows,
        rows=done.valid.num_rows,
        dead_letters=done.dead.num_rows,
        skipped=done.skipped.num_rows,
        causes=causes,
    )


def _probe(subject: str, look: Callable[[], str]) -> Probe:
    began = time.monotonic()
    try:
        text = look()
    except StreamProcessorError as error:
        took = time.monotonic() - began
        return Probe(subject, ok=False, text=error.message, seconds=took, hint=error.hint)
    return Probe(subject, ok=True, text=text, seconds=time.monotonic() - began)


def _store(uri: str, storage: StorageConfig) -> str:
    """A bucket is put to the proof; a local folder is atomic by the rules of every file system."""
    store = open_store(uri, storage)
    folder = local_folder(uri)
    if folder is not None:
        return _folder(folder)
    check_reachable(store)
    prove_conditional_create(store)
    return f"{uri}: answers, and enforces conditional writes"


def _folder(folder: Path) -> str:
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise TableRefused(
            f"{there} is no folder that we may write to",
            hint="change its rights, or name another place in sink.delta.table",
        )
    made = "" if there == folder else ", to be made by the first run"
    return f"{folder}: a local folder{made}"


def _table(spec: TableSpec) -> str:
    table = load(spec)
    if table is None:
        return f"{spec.uri}: not there yet, the first run creates it"
    if owner(table) is None and not is_empty(table):
        raise ownerless(spec)
    refuse_unless_writable(spec, table)
    rules_of(spec.uri, table)
    added = missing_columns(spec, table).names
    fits = f"schema compatible (adds: {', '.join(added)})" if added else "fits the schema"
    return f"{spec.uri}: version {table.version()}, {fits}"
