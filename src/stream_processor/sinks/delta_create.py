"""Opens or creates a Delta table of ours, and refuses one that we must not write.

Creation is two commits, because the Delta library takes no foreign property at creation: a table
without owner, rows and `txn` is the rest of a crash between them, and ours to finish.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from stream_processor.errors import StoreUnavailable, TableRefused
from stream_processor.ports import ObjectStore
from stream_processor.schema.evolution import changes
from stream_processor.sinks.delta_errors import mapped

FORMAT = 1
"""Version of what we write into commits and ids; a newer one is refused, an older one continued."""

OWNER_PROPERTY = "stream_processor.pipeline"
FORMAT_PROPERTY = "stream_processor.format"

_FIRST_ENTRY = f"_delta_log/{0:020}.json"
_SCRATCH = "the scratch folder for a new table (in TMPDIR)"
# Reading txn entries replays the log since the last checkpoint, so they must stay few.
_CHECKPOINT_EVERY = "20"
# What our writer itself keeps; any other writer feature stops us before the first write.
_FEATURES_KEPT = frozenset({"appendOnly", "invariants", "checkConstraints", "changeDataFeed"})
# Generated columns (4) are left out: change data feed, which we keep, has the same version.
_IMPLIED_SINCE = {"columnMapping": 5, "identityColumns": 6}
_NAMED_SINCE = 7
_DAY_SECONDS = 86_400
_INTERVAL_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_STATISTICS_COLUMNS_MAX = 32
_WITHOUT_STATISTICS = ("_rescued", "actual", "message", "value_preview", "value_sha256")


@dataclass(frozen=True, slots=True)
class TableSpec:
    """What a table of ours looks like. Made by the composition root.

    `uri` is a folder or `s3://bucket/prefix`; `options` are the Delta library's storage options
    (they hold secrets, so they are never shown). `schema` metadata `comment` becomes the comment.
    """

    uri: str
    schema: pa.Schema
    pipeline_id: str
    partition_by: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    options: Mapping[str, str] = field(default_factory=dict, repr=False)


def load(spec: TableSpec) -> DeltaTable | None:
    """The table at its head, or None when there is none yet. Raises `Unavailable`."""
    with mapped(spec.uri, "opening"):
        try:
            return DeltaTable(spec.uri, storage_options=dict(spec.options))
        except TableNotFoundError:
            return None


def load_at(spec: TableSpec, version: int) -> DeltaTable:
    """The table at exactly this version, which must exist. Raises `Unavailable`."""
    with mapped(spec.uri, "opening"):
        return DeltaTable(spec.uri, version=version, storage_options=dict(spec.options))


def create(spec: TableSpec, store: ObjectStore) -> DeltaTable:
    """Make the table; when another process is faster, the one that it made.

    The library's own creation is not safe beside another one (delta-rs 1.6.6): it writes a second
    one behind the first, and the table has another id, no owner and no property of ours. So the
    library writes the first log entry into a scratch folder, and the store takes it only where
    there is none yet. `store` is the table's.
    """
    with mapped(_SCRATCH, "preparing"):
        entry = _first_entry(spec)
    store.put_if_absent(_FIRST_ENTRY, entry)
    table = load(spec)
    if table is None:
        raise StoreUnavailable(
            f"{spec.uri} was made and cannot be opened",
            hint="see whether something removes its files; this is tried again by itself",
        )
    return table


def _first_entry(spec: TableSpec) -> bytes:
    configuration = {
        "delta.checkpointInterval": _CHECKPOINT_EVERY,
        # Cleaning the log would destroy evidence before maintenance has folded it (a.8, rule 13).
        "delta.enableExpiredLogCleanup": "false",
        "delta.dataSkippingStatsColumns": ",".join(_statistics_columns(spec.schema)),
        **spec.properties,
    }
    with tempfile.TemporaryDirectory(prefix="stream-processor-") as scratch:
        DeltaTable.create(
            scratch,
            schema=spec.schema,
            partition_by=list(spec.partition_by),
            description=spec.description or None,
            configuration=configuration,
        )
        lines = (Path(scratch) / _FIRST_ENTRY).read_text().splitlines()
    actions = [json.loads(line) for line in lines]
    for action in actions:
        if "commitInfo" in action:
            action["commitInfo"]["operationParameters"]["location"] = spec.uri
    return "\n".join(json.dumps(action) for action in actions).encode()


def own(spec: TableSpec, table: DeltaTable) -> None:
    """Write the owner into the table's properties; the handle is then at that version."""
    with mapped(spec.uri, "taking over"):
        table.alter.set_table_properties(
            {OWNER_PROPERTY: spec.pipeline_id, FORMAT_PROPERTY: str(FORMAT)},
            raise_if_not_exists=False,
        )


def owner(table: DeltaTable) -> str | None:
    """The pipeline that the table belongs to, None when nobody has written one."""
    return table.metadata().configuration.get(OWNER_PROPERTY)


def ownerless(spec: TableSpec) -> TableRefused:
    """The refusal of a table that holds something and that no pipeline has signed."""
    return TableRefused(
        f"{spec.uri} exists and belongs to no pipeline",
        hint="`run --adopt` takes it over; its rows stay",
    )


def is_empty(table: DeltaTable) -> bool:
    """Whether no file is in the table now."""
    return not table.file_uris()


def refuse_unless_writable(spec: TableSpec, table: DeltaTable) -> None:
    """Raise `TableRefused` for whatever we could not honour, before anything is written.

    Columns that it has not yet are no reason: a stream adds them (`delta_evolve`).
    """
    for complaint, hint in complaints(spec, table):
        raise TableRefused(f"{spec.uri} {complaint}", hint=hint)
    for change in changes(pa.schema(table.schema().to_arrow()), spec.schema):
        if change.breaking:
            raise TableRefused(f"{spec.uri} {change.complaint}", hint=change.hint)


def complaints(spec: TableSpec, table: DeltaTable) -> Iterator[tuple[str, str]]:
    """Why a run refuses the table, whatever its columns: what completes "the table ...", and what
    a person can do. The columns are the business of `schema.evolution`."""
    configuration = table.metadata().configuration
    found = configuration.get(OWNER_PROPERTY)
    if found is not None and found != spec.pipeline_id:
        yield (
            f"belongs to the pipeline {found!r}, not to {spec.pipeline_id!r}",
            "use another table, or set `id` in the pipeline file if this pipeline was renamed",
        )
    if int(configuration.get(FORMAT_PROPERTY, "1")) > FORMAT:
        yield (
            f"was written in format {configuration[FORMAT_PROPERTY]}, newer than {FORMAT}",
            "update stream-processor",
        )
    yield from _unsafe_settings(configuration)
    features = _features(table) - _FEATURES_KEPT
    if features:
        yield (
            f"has the table feature {', '.join(sorted(features))}, which this writer cannot keep",
            "remove the feature or use another table",
        )
    if tuple(table.metadata().partition_columns) != spec.partition_by:
        yield (
            f"is partitioned by {list(table.metadata().partition_columns)}",
            f"set partition_by so, instead of {list(spec.partition_by)}, or use another table",
        )


def _features(table: DeltaTable) -> set[str]:
    """The writer's duties; before version 7 a table names none, its version implies them."""
    protocol = table.protocol()
    version = protocol.min_writer_version
    implied = (name for name, since in _IMPLIED_SINCE.items() if since <= version < _NAMED_SINCE)
    return {*(protocol.writer_features or ()), *implied}


def _unsafe_settings(configuration: Mapping[str, str | None]) -> Iterator[tuple[str, str]]:
    if "delta.setTransactionRetentionDuration" in configuration:
        yield (
            "lets transaction ids expire (delta.setTransactionRetentionDuration)",
            "unset it: the table would forget which offsets it holds",
        )
    retention = configuration.get("delta.logRetentionDuration")
    if retention and interval_seconds(retention) < _DAY_SECONDS:
        yield (
            f"keeps its log for {retention} only",
            "set delta.logRetentionDuration to at least 1 day: a delayed write must meet its entry",
        )


def _statistics_columns(schema: pa.Schema) -> list[str]:
    """Minimum and maximum only where people filter: they cost memory for every active file.

    Nor of what quotes a dead letter: the log keeps statistics for longer than an erase may wait.
    """
    useful = [
        field.name
        for field in schema
        if not pa.types.is_nested(field.type)
        and not pa.types.is_binary(field.type)
        and field.name not in _WITHOUT_STATISTICS
    ]
    coordinates = [name for name in useful if name.startswith("_kafka_") or name == "offset"]
    first = [name for name in useful if name not in coordinates]
    return [*first[: _STATISTICS_COLUMNS_MAX - len(coordinates)], *coordinates]


def interval_seconds(text: str) -> float:
    """Seconds of Delta's `interval 30 days`; units below a second or unknown count as nothing."""
    match = re.search(r"(\d+)\s+(second|minute|hour|day|week)s?", text.lower())
    return int(match[1]) * _INTERVAL_SECONDS[match[2]] if match else 0.0
