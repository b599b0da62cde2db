"""`table info`: what a table is made of, for people who want to query it. Reads the log only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from stream_processor.operations.snapshots import Snapshot
from stream_processor.operations.table_history import moment
from stream_processor.ports import ObjectStore
from stream_processor.sinks import delta_log
from stream_processor.sinks.delta_cleanup import oldest_version
from stream_processor.sinks.delta_create import FORMAT_PROPERTY, owner
from stream_processor.sinks.delta_errors import mapped
from stream_processor.sinks.delta_files import files_of

_INDEXED_DEFAULT = 32
_STATISTICS = "delta.dataSkippingStatsColumns"
_STATISTICS_COUNT = "delta.dataSkippingNumIndexedCols"


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `statistics`: new files say its minimum and maximum, so filters skip files."""

    name: str
    type: str
    comment: str
    statistics: bool
    partition: bool


@dataclass(frozen=True, slots=True)
class TableInfo:
    """One table at its head. `format` is the version of what we write into its log.

    `versions` counts those that the log still has, `oldest_version` on. `checkpoint_versions` and
    `checkpoint_seconds` are how far behind the head the newest checkpoint is; None without one.
    """

    name: str
    uri: str
    version: int
    versions: int
    oldest_version: int
    owner: str | None
    format: int | None
    description: str
    columns: tuple[Column, ...]
    partition_by: tuple[str, ...]
    properties: Mapping[str, str]
    features: tuple[str, ...]
    rows: int
    files: int
    small_files: int
    size_bytes: int
    last_commit_at: str | None
    checkpoint_version: int | None
    checkpoint_versions: int | None
    checkpoint_seconds: float | None

    def as_json(self) -> dict[str, Any]:
        """For `table info --json`."""
        return asdict(self)


def info(name: str, snapshot: Snapshot) -> TableInfo:
    """Everything about one table. Called by `stream-processor table info`. Raises `Unavailable`."""
    store, version = snapshot.store, snapshot.version
    oldest = oldest_version(store, version)
    checkpoint = _checkpoint(store, version)
    last_commit_at = _moment(store, version)
    table = snapshot.table
    files = files_of(snapshot.uri, table)
    with mapped(snapshot.uri, "reading the log of"):
        metadata, protocol = table.metadata(), table.protocol()
        properties = {key: value or "" for key, value in metadata.configuration.items()}
        schema = pa.schema(table.schema().to_arrow())
        features = {*(protocol.reader_features or ()), *(protocol.writer_features or ())}
        found_owner = owner(table)
    written = properties.get(FORMAT_PROPERTY, "")
    return TableInfo(
        name=name,
        uri=snapshot.uri,
        version=version,
        versions=version - oldest + 1,
        oldest_version=oldest,
        owner=found_owner,
        format=int(written) if written.isdecimal() else None,
        description=metadata.description or "",
        columns=_columns(schema, metadata.partition_columns, properties),
        partition_by=tuple(metadata.partition_columns),
        properties=dict(sorted(properties.items())),
        features=tuple(sorted(features)),
        rows=files.rows,
        files=files.count,
        small_files=files.small,
        size_bytes=files.size_bytes,
        last_commit_at=last_commit_at,
        checkpoint_version=checkpoint,
        checkpoint_versions=None if checkpoint is None else version - checkpoint,
        checkpoint_seconds=_age(store, checkpoint, last_commit_at),
    )


def _columns(
    schema: pa.Schema, partition_by: list[str], properties: Mapping[str, str]
) -> tuple[Column, ...]:
    indexed = _indexed(schema, properties)
    return tuple(
        Column(
            name=field.name,
            type=_type(field.type),
            comment=(field.metadata or {}).get(b"comment", b"").decode(errors="replace"),
            statistics=field.name in indexed and field.name not in partition_by,
            partition=field.name in partition_by,
        )
        for field in schema
    )


def _indexed(schema: pa.Schema, properties: Mapping[str, str]) -> set[str]:
    """The columns with statistics: those named, else the first so many (Delta's own rule)."""
    if _STATISTICS in properties:
        return {name.strip(" `") for name in properties[_STATISTICS].split(",")}
    told = properties.get(_STATISTICS_COUNT, "")
    if told.strip() == "-1":
        return set(schema.names)
    return set(schema.names[: int(told) if told.isdecimal() else _INDEXED_DEFAULT])


def _type(kind: pa.DataType) -> str:
    """The type by the name that it has in Delta and in SQL."""
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"array<{_type(kind.value_type)}>"
    if pa.types.is_map(kind):
        return f"map<{_type(kind.key_type)}, {_type(kind.item_type)}>"
    if pa.types.is_struct(kind):
        return f"struct<{', '.join(f'{each.name}: {_type(each.type)}' for each in kind)}>"
    if pa.types.is_timestamp(kind):
        return "timestamp" if kind.tz else "timestamp_ntz"
    return _NAMES.get(str(kind), str(kind))


_NAMES = {
    **dict.fromkeys(("string", "large_string", "string_view"), "string"),
    **dict.fromkeys(("binary", "large_binary", "binary_view"), "binary"),
    "bool": "boolean",
    "int8": "byte",
    "int16": "short",
    "int32": "int",
    "int64": "long",
    "float": "float",
    "double": "double",
    "date32[day]": "date",
}


def _checkpoint(store: ObjectStore, version: int) -> int | None:
    """The newest checkpoint by Delta's own pointer to it."""
    try:
        found = json.loads(store.get("_delta_log/_last_checkpoint")).get("version")
    except (FileNotFoundError, ValueError, AttributeError):
        return None
    return found if isinstance(found, int) and found <= version else None


def _moment(store: ObjectStore, version: int) -> str | None:
    try:
        return moment(delta_log.commit_at(store, version))
    except FileNotFoundError:
        return None


def _age(store: ObjectStore, checkpoint: int | None, last: str | None) -> float | None:
    """Seconds from the commit of the checkpoint to the last one."""
    then = None if checkpoint is None else _moment(store, checkpoint)
    if then is None or last is None:
        return None
    return (datetime.fromisoformat(last) - datetime.fromisoformat(then)).total_seconds()
