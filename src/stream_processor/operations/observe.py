"""What one run is observed by: log, metrics, watchdog, snapshot, and who serves them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from pydantic import BaseModel, SecretStr

import stream_processor
from stream_processor.config.pipeline import Pipeline
from stream_processor.config.values import Settings, looks_secret
from stream_processor.ports import Clock
from stream_processor.runtime.http_server import Answers, serving
from stream_processor.runtime.logging_setup import Log, StandardLog
from stream_processor.runtime.metrics import Metrics, Subject
from stream_processor.runtime.observation import Observation
from stream_processor.runtime.snapshot import readiness, rest_limit_seconds
from stream_processor.runtime.watchdog import Watchdog


@contextmanager
def observing(pipeline: Pipeline, log: Log, clock: Clock) -> Iterator[Observation]:
    """The observer of a run inside the block, which also serves probes where the file asks for it.

    Called by `run`. Raises `ConfigurationError` when `observability.listen` cannot be had.
    """
    limit = rest_limit_seconds(float(pipeline.sink.delta.commit.every))
    metrics = Metrics(
        Subject(
            pipeline=pipeline.pipeline_id,
            table=pipeline.sink.delta.table,
            dead_letter_table=pipeline.dead_letter_table,
            version=stream_processor.__version__,
        )
    )
    seen = Observation(metrics, log, clock, Watchdog(limit))
    with ExitStack() as ended:
        ended.enter_context(StandardLog(log))
        if pipeline.observability.listen is not None:
            answers = Answers(
                checks=lambda: readiness(seen.snapshot(), limit),
                registry=metrics.registry,
                failed=lambda error: seen.event("probe_failed", error=error),
            )
            address = ended.enter_context(serving(pipeline.observability.listen, answers))
            seen.event("listening", address=address)
        yield seen


def secrets_of(section: BaseModel) -> frozenset[str]:
    """Every secret of a pipeline file, for the log to mask."""
    found: set[str] = set()
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            found |= secrets_of(value)
        elif isinstance(value, SecretStr):
            found.add(value.get_secret_value())
        elif isinstance(value, Settings):
            found |= {text for key, text in value.items() if looks_secret(key)}
    return frozenset(found)
