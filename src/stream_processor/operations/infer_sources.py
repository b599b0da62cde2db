"""Where `infer` reads from: a topic, a file of lines, or a Delta table. Reads only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from stream_processor.config.pipeline import Pipeline, StorageConfig
from stream_processor.errors import ConfigurationError
from stream_processor.operations.delta_access import delta_options
from stream_processor.operations.kafka_readers import sample_reader
from stream_processor.operations.try_payloads import raw_events
from stream_processor.sinks.delta_errors import mapped

_BUCKET = re.compile(r"s3://[^/]+")
_KAFKA = re.compile(r"kafka://([^/@?#\s]+)/([A-Za-z0-9._-]{1,249})")


@dataclass(frozen=True, slots=True)
class Sample:
    """Events as they came; `source` says from where, `name` is what the schema may be called."""

    source: str
    name: str
    values: tuple[bytes | None, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class TableSample:
    """The columns of a table, and its first rows for the share of nulls."""

    source: str
    name: str
    schema: pa.Schema
    rows: int
    nulls: Mapping[str, int]

    def null_share(self, column: str) -> float | None:
        """0 to 1; None where the table has no rows to tell from."""
        return self.nulls.get(column, 0) / self.rows if self.rows else None


def open_source(
    source: str, records_max: int, environment: Mapping[str, str]
) -> Sample | TableSample:
    """Read at most so many records of whatever the text names.

    `kafka://host:port/topic`, the folder or `s3://` address of a Delta table, else a file of one
    event per line. Raises `ConfigurationError`, and `Unavailable`.
    """
    if source.startswith("kafka:"):
        return _topic(source, records_max)
    if source.startswith("s3://") or (Path(source) / "_delta_log").is_dir():
        return _table(source, records_max, _storage(source, environment))
    return _file(Path(source), records_max)


def _topic(source: str, records_max: int) -> Sample:
    match = _KAFKA.fullmatch(source)
    if match is None:
        raise ConfigurationError(
            "a topic is named as kafka://host:port/topic",
            hint="several brokers with commas; a protected Kafka can be sampled into a file first",
        )
    pipeline = Pipeline.model_validate(
        {
            "version": 1,
            "name": "infer",
            "source": {"kafka": {"bootstrap_servers": match[1], "topics": [match[2]]}},
            "schema": {"file": "drafted"},
            "sink": {"delta": {"table": "./none"}},
        }
    )
    batch = sample_reader(pipeline).newest(records_max)
    partitions = len(set(batch["partition"].to_pylist()))
    words = "1 partition" if partitions == 1 else f"{partitions} partitions"
    values = tuple(batch["value"].to_pylist())
    return Sample(f"topic {match[2]}, {words}, newest first", match[2], values)


def _file(path: Path, records_max: int) -> Sample:
    try:
        with path.open("rb") as stream:
            lines = chain.from_iterable(raw_events(stream))
            some = islice((one.value for one in lines if (one.value or b"").strip()), records_max)
            values = tuple(some)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}",
            hint="name a file with one JSON object per line, a Delta table, or "
            "kafka://host:port/topic",
        ) from error
    return Sample(path.name, path.name.partition(".")[0], values)


def _table(uri: str, records_max: int, storage: StorageConfig) -> TableSample:
    with mapped(uri, "reading"):
        try:
            table = DeltaTable(uri, storage_options=delta_options(storage))
        except TableNotFoundError as error:
            raise ConfigurationError(f"there is no Delta table at {uri}") from error
        schema = pa.schema(table.schema().to_arrow())
        rows = table.to_pyarrow_dataset().head(records_max)
    nulls = {name: rows[name].null_count for name in rows.column_names}
    name = uri.rstrip("/").rpartition("/")[2]
    return TableSample(f"table {uri}", name, schema, rows.num_rows, nulls)


def _storage(uri: str, environment: Mapping[str, str]) -> StorageConfig:
    """As the built-in pipeline file takes it from the variables."""
    if not uri.startswith("s3://"):
        return StorageConfig()
    names = {
        "endpoint": "S3_ENDPOINT",
        "region": "S3_REGION",
        "access_key_id": "S3_ACCESS_KEY_ID",
        "secret_access_key": "S3_SECRET_ACCESS_KEY",
    }
    if not _BUCKET.match(uri) or not environment.get("S3_ACCESS_KEY_ID"):
        raise ConfigurationError(
            f"{uri} needs a bucket and the variables S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY",
            hint="and S3_ENDPOINT for a store that is not AWS",
        )
    given = {key: environment[name] for key, name in names.items() if environment.get(name)}
    return StorageConfig.model_validate(given)
