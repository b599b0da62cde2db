"""Rules between the keys of a pipeline file: what types alone cannot say.

Each rule is a pure function of one section. `runtime.config_validation` runs every rule whose keys
could be read, so that all that is wrong is reported at once, and gives each finding its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from stream_processor.config.findings import Finding, Rule
from stream_processor.config.pipeline import (
    CommitConfig,
    EngineConfig,
    MaintenanceConfig,
    ObservabilityConfig,
    Pipeline,
)
from stream_processor.config.rules_delta import DELTA_RULES
from stream_processor.config.rules_kafka import KAFKA_RULES
from stream_processor.config.rules_transform import TRANSFORM_RULES
from stream_processor.config.values import IDENTIFIER

_LISTEN = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})")
_SMALLEST_MEMORY = 64 * 2**20


def _identity(pipeline: Pipeline) -> Iterator[Finding]:
    if pipeline.id is None and not re.fullmatch(IDENTIFIER, pipeline.name):
        hint = "letters, digits, '.', '_' and '-'; or set id too, which never changes"
        yield Finding(("name",), "without an id, the name must be fit for one", hint)


def _commit(commit: CommitConfig) -> Iterator[Finding]:
    if not 0.1 <= commit.every <= 3600:
        yield Finding(("every",), "expected 100ms to 1h")
    if commit.max_bytes < 2**16:
        yield Finding(("max_bytes",), "expected at least 64KiB")


def _record_size(pipeline: Pipeline) -> Iterator[Finding]:
    if not 0 < pipeline.max_record_bytes <= pipeline.engine.memory_limit // 4:
        hint = "engine.memory_limit holds several batches at a time"
        message = "expected more than nothing, and at most a quarter of engine.memory_limit"
        yield Finding(("max_record_bytes",), message, hint)


def _batch_size(pipeline: Pipeline) -> Iterator[Finding]:
    if pipeline.sink.delta.commit.max_bytes > pipeline.engine.memory_limit // 4:
        hint = "a batch that is read, one that is processed and one that is written fit in memory"
        message = "expected at most a quarter of engine.memory_limit"
        yield Finding(("sink", "delta", "commit", "max_bytes"), message, hint)


def _engine(engine: EngineConfig) -> Iterator[Finding]:
    if engine.memory_limit < _SMALLEST_MEMORY:
        yield Finding(("memory_limit",), "expected at least 64MiB")
    if not 1 <= engine.drain_timeout <= 3600:
        yield Finding(("drain_timeout",), "expected 1s to 1h")


def _maintenance(maintenance: MaintenanceConfig) -> Iterator[Finding]:
    if not 1 <= maintenance.every <= 7 * 86_400:
        yield Finding(("every",), "expected 1s to 7d")
    if maintenance.max_bytes < 1:
        yield Finding(("max_bytes",), "expected more than nothing")
    if not 1 <= maintenance.max_time <= 86_400:
        yield Finding(("max_time",), "expected 1s to 1d")


def _listen(observability: ObservabilityConfig) -> Iterator[Finding]:
    if observability.listen is not None:
        match = _LISTEN.fullmatch(observability.listen)
        if match is None or not 0 <= int(match[2]) <= 65535:
            yield Finding(("listen",), "expected host:port, like 127.0.0.1:7070")


_COMMIT = ("sink", "delta", "commit")
RULES: tuple[Rule, ...] = (
    *KAFKA_RULES,
    *DELTA_RULES,
    *TRANSFORM_RULES,
    Rule((), Pipeline, ("id", "name"), _identity),
    Rule((), Pipeline, ("max_record_bytes", "engine"), _record_size),
    Rule((), Pipeline, ("sink", "engine"), _batch_size),
    Rule(_COMMIT, CommitConfig, ("every", "max_bytes"), _commit),
    Rule(("engine",), EngineConfig, ("memory_limit", "drain_timeout"), _engine),
    Rule(("maintenance",), MaintenanceConfig, ("every", "max_bytes", "max_time"), _maintenance),
    Rule(("observability",), ObservabilityConfig, ("listen",), _listen),
)
"""Every rule. Their order is of no importance: findings are sorted by place."""
