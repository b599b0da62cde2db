"""What makes a table or its store readable but unsafe, or simply wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from stream_processor.config.findings import OWN_KEY, Finding, Rule
from stream_processor.config.pipeline import DeadLetterConfig, DeltaSink, Pipeline, StorageConfig

_DAY = 86_400
_SECONDS = {
    "second": 1,
    "minute": 60,
    "hour": 3600,
    "day": _DAY,
    "week": 7 * _DAY,
    "month": 30 * _DAY,
    "year": 365 * _DAY,
}
_INTERVAL = re.compile(r"(?:interval\s+)?([0-9]{1,9})\s+([a-z]+?)s?", re.IGNORECASE)
_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[^?#]*[^/?#]")

_NO_ADDRESS = Finding(("endpoint",), "expected an address like https://minio.example:9000")
_UNSAFE = "commits are only safe where the store refuses to create an object twice"
_REFUSED_OPTIONS: Mapping[str, str] = {
    "s3_allow_unsafe_rename": _UNSAFE,
    "allow_unsafe_rename": _UNSAFE,
    "s3_locking_provider": "commits need no lock table: the store's conditional create is enough",
    "allow_invalid_certificates": "name the store's authority in ca_file instead",
    "access_key_id": OWN_KEY.format("access_key_id"),
    "secret_access_key": OWN_KEY.format("secret_access_key"),
    "endpoint": OWN_KEY.format("endpoint"),
    "endpoint_url": OWN_KEY.format("endpoint"),
    "endpoint_url_s3": OWN_KEY.format("endpoint"),
    "region": OWN_KEY.format("region"),
    "default_region": OWN_KEY.format("region"),
    "allow_http": OWN_KEY.format("allow_http"),
}


def _keys(storage: StorageConfig) -> Iterator[Finding]:
    if (storage.access_key_id is None) != (storage.secret_access_key is None):
        yield Finding((), "access_key_id and secret_access_key are needed together")


def _endpoint(storage: StorageConfig) -> Iterator[Finding]:
    if storage.endpoint is None:
        return
    try:
        parts = urlsplit(storage.endpoint)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        yield _NO_ADDRESS
        return
    if "@" in storage.endpoint:
        hint = "set access_key_id and secret_access_key"
        yield Finding(("endpoint",), "an address must not hold a name or a password", hint)
    elif not good or parts.query or parts.fragment:
        yield _NO_ADDRESS
    elif parts.scheme == "http" and not storage.allow_http:
        hint = "leave allow_http out, or use https"
        yield Finding(
            ("allow_http",), "the endpoint begins with http://, yet this forbids it", hint
        )


def _options(storage: StorageConfig) -> Iterator[Finding]:
    for name, value in storage.options.items():
        short = name.lower().removeprefix("aws_")
        if short in _REFUSED_OPTIONS:
            yield Finding(("options", name), "cannot be set", _REFUSED_OPTIONS[short])
        elif short == "conditional_put" and value.lower() != "etag":
            message = "can only be etag"
            yield Finding(("options", name), message, _UNSAFE)


def _table_properties(sink: DeltaSink) -> Iterator[Finding]:
    for name, value in sink.properties.items():
        path, low = ("properties", name), name.lower()
        if low == "delta.settransactionretentionduration":
            hint = "the table remembers Kafka offsets as transactions, and must not forget them"
            yield Finding(path, "cannot be set", hint)
        elif low == "delta.logretentionduration" and _interval_seconds(value) < _DAY:
            hint = 'write "interval 30 days"; a shorter log lets a late writer through'
            yield Finding(path, "must be at least one day", hint)
        elif low == "delta.enableexpiredlogcleanup" and value.lower() != "false":
            hint = "the log is the evidence of `verify`; only our own maintenance may clean it"
            yield Finding(path, "can only be false", hint)
        elif low.startswith("stream_processor."):
            yield Finding(path, "is written by the product")


def _interval_seconds(text: str) -> float:
    """Length of a Delta interval; 0 where it is not one, so that it is refused."""
    match = _INTERVAL.fullmatch(text.strip())
    if match is None:
        return 0
    return int(match[1]) * _SECONDS.get(match[2].lower(), 0)


def _table(config: DeltaSink | DeadLetterConfig) -> Iterator[Finding]:
    table = config.table
    if table is None:
        return
    if table.startswith("s3://"):
        if not _BUCKET.fullmatch(table) or "@" in table:
            hint = "the table needs a folder below the bucket"
            yield Finding(("table",), "expected s3://bucket/prefix", hint)
    elif "://" in table:
        hint = "s3:// is what MinIO and every S3-compatible store take"
        yield Finding(("table",), "expected s3://bucket/prefix or a local folder", hint)


def _unused_storage(sink: DeltaSink) -> Iterator[Finding]:
    if not sink.table.startswith("s3://") and sink.storage.access_key_id is not None:
        message = "the table is a local folder, so storage is ignored"
        yield Finding(("storage",), message, severity="warning")


def _two_tables(pipeline: Pipeline) -> Iterator[Finding]:
    data, dead = pipeline.sink.delta.table, pipeline.dead_letter_table
    if data == dead or dead.startswith(f"{data}/") or data.startswith(f"{dead}/"):
        message = "the dead letters need a table of their own, not the data table or inside it"
        yield Finding(("dlq", "table"), message)


_DELTA = ("sink", "delta")
DELTA_RULES = (
    Rule(_DELTA, DeltaSink, ("table",), _table),
    Rule(_DELTA, DeltaSink, ("table", "storage"), _unused_storage),
    Rule(_DELTA, DeltaSink, ("properties",), _table_properties),
    Rule(("dlq",), DeadLetterConfig, ("table",), _table),
    Rule((), Pipeline, ("sink", "dlq"), _two_tables),
    *(
        rule
        for section in ((*_DELTA, "storage"), ("dlq", "storage"))
        for rule in (
            Rule(section, StorageConfig, ("access_key_id", "secret_access_key"), _keys),
            Rule(section, StorageConfig, ("endpoint", "allow_http"), _endpoint),
            Rule(section, StorageConfig, ("options",), _options),
        )
    ),
)
