"""The running stream keeps its own tables: maintenance now and then, on a thread of its own.

A join passes beside appends on held handles, so the stream's commits need not wait for it (decision
0014); what it costs them is a share of CPU and store. Of several processes of one pipeline each has
its clock, and the one that has the turn does it.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from stream_processor.config.fields import SchemaFile
from stream_processor.config.pipeline import MaintenanceConfig, Pipeline
from stream_processor.errors import StreamProcessorError
from stream_processor.operations.assemble import Environment
from stream_processor.operations.dlq.replay_request import Doer, Surroundings, new_run_id
from stream_processor.operations.maintain.places import places_of
from stream_processor.operations.maintain.report import MaintainReport
from stream_processor.operations.maintain.request import Budget, MaintainRequest
from stream_processor.operations.maintain.run import maintain
from stream_processor.ports import Observer

_ACTOR = "the stream's own schedule"
_END_SECONDS_MAX = 5.0  # a join under way is left alone at the end: it is safe to die in


@contextmanager
def scheduled(
    pipeline: Pipeline, schema_file: SchemaFile, environment: Environment
) -> Iterator[None]:
    """Inside the block, maintain every `maintenance.every`, where the file says so.

    Called by `run` around an unbounded stream. Whatever goes wrong is told to the observer and
    never reaches the stream.
    """
    config = pipeline.maintenance
    if not config.enabled:
        yield
        return
    over = threading.Event()
    dice = random.Random()  # noqa: S311 - so that processes do not begin at the same moment

    def work() -> None:
        while not over.wait(float(config.every) * dice.uniform(0.8, 1.0)):
            _once(pipeline, schema_file, environment, over)

    thread = threading.Thread(target=work, name="maintain", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(_END_SECONDS_MAX)


def request_of(config: MaintenanceConfig) -> MaintainRequest:
    """What the file asks for."""
    budget = Budget(config.max_files, int(config.max_bytes), float(config.max_time))
    return MaintainRequest(config.steps, budget)


def _once(
    pipeline: Pipeline, schema_file: SchemaFile, environment: Environment, over: threading.Event
) -> None:
    observer = environment.observer
    doer = Doer(new_run_id(environment.clock.now()), _ACTOR)
    around = Surroundings(doer, environment.clock, over, environment.kill_point)
    try:
        places = places_of(pipeline, schema_file)
        report = maintain(pipeline.pipeline_id, places, request_of(pipeline.maintenance), around)
    except StreamProcessorError as error:
        observer.event("maintenance_failed", kind=type(error).__name__, reason=error.message)
    except Exception as error:  # noqa: BLE001 - upkeep must never end the stream
        observer.event("internal_error", error=error)
    else:
        _tell(report, observer)


def _tell(report: MaintainReport, observer: Observer) -> None:
    for table in report.tables:
        if table.trouble:
            observer.event("maintenance_postponed", table=table.uri, reason=table.trouble)
        elif any((table.folded, table.joined, table.vacuumed, table.cleaned)):
            observer.event(
                "maintained",
                table=table.uri,
                folded=table.folded,
                joined=table.joined,
                made=table.made,
                vacuumed=table.vacuumed,
                cleaned=table.cleaned,
            )
