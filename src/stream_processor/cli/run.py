"""`run`: stream until a goal, a signal or a decision."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

import typer

from stream_processor.cli.changed_files import ChangedFiles
from stream_processor.cli.options import Overrides, PipelineFile, Verbose, overrides, quantity
from stream_processor.cli.output import cell, note
from stream_processor.cli.pipeline_file import is_local, load
from stream_processor.cli.run_flags import (
    AcceptGap,
    AcceptRecreated,
    AcceptRewind,
    Adopt,
    For,
    Level,
    LogLevel,
    MaxRecords,
    Quiet,
    Reset,
    Resume,
    Until,
    Wait,
)
from stream_processor.errors import Unavailable

if TYPE_CHECKING:
    from stream_processor.config.pipeline import Pipeline
    from stream_processor.operations.run import RunRequest
    from stream_processor.runtime.config_loader import LoadedPipeline
    from stream_processor.runtime.logging_setup import Color
    from stream_processor.runtime.retry import Stop


@dataclass(frozen=True, slots=True)
class Asked:
    """What to run, and how loud: the flags of one `run`."""

    path: Path | None
    overrides: Mapping[str, str]
    request: RunRequest
    level: Level | None
    live: bool


def run(
    pipeline: PipelineFile = None,
    *,
    until: Until = None,
    for_: For = None,
    max_records: MaxRecords = None,
    wait: Wait = False,
    set_: Overrides = None,
    accept_gap: AcceptGap = False,
    accept_rewind: AcceptRewind = False,
    accept_recreated: AcceptRecreated = None,
    reset: Reset = False,
    adopt: Adopt = False,
    resume: Resume = False,
    log_level: LogLevel = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Stream events into the tables, until Ctrl-C, SIGTERM or a limit.

    Without PIPELINE and without the variables of a Kafka this is the local mode.
    """
    from stream_processor.operations.assemble import RunTerms
    from stream_processor.operations.run import RunRequest
    from stream_processor.ports import Decisions

    decisions = Decisions(
        accept_gap=accept_gap,
        accept_rewind=accept_rewind,
        accept_recreated=frozenset(accept_recreated or ()),
        reset=reset,
        adopt=adopt,
        resume=resume,
    )
    terms = RunTerms(decisions, until_latest=until == "latest", records_max=max_records)
    level: Level | None = "debug" if verbose else "warning" if quiet else None
    return _run(
        Asked(
            path=pipeline,
            overrides=overrides(set_),
            request=RunRequest(terms, seconds_max=_seconds(for_), wait=wait),
            level=log_level or level,
            live=sys.stderr.isatty() and not quiet,
        )
    )


def _seconds(text: str | None) -> float | None:
    from stream_processor.config.units import Duration

    if text is None:
        return None
    seconds = float(quantity(Duration.parse, text, "--for"))
    if seconds <= 0:
        raise typer.BadParameter("expected more than nothing", param_hint="--for")
    return seconds


def _run(asked: Asked) -> int:
    """Whatever is wrong with the files is told before anything is started."""
    from stream_processor.runtime.clock import SystemClock
    from stream_processor.runtime.lifecycle import Lifecycle

    loaded = load(asked.path, asked.overrides)
    drain_seconds = float(loaded.pipeline.engine.drain_timeout)
    lifecycle = Lifecycle(SystemClock(), drain_seconds, last_words=note)
    with lifecycle.handling_signals(), _world(asked, loaded, lifecycle.stop) as first:
        files: ChangedFiles | None = first
        while files is not None:
            files = _stream(asked, files, lifecycle.stop)
    return lifecycle.exit_code()


@contextmanager
def _world(asked: Asked, loaded: LoadedPipeline, stop: Stop) -> Iterator[ChangedFiles]:
    """The pipeline with its Kafka; in local mode that is ours, and ends with the block."""
    from stream_processor.operations import local_mode
    from stream_processor.runtime.config_loader import load_pipeline

    if not is_local(asked.path):
        yield ChangedFiles(loaded, partial(load, asked.path, asked.overrides), note)
        return
    note(local_mode.first_line(os.environ))
    with local_mode.running(os.environ, stop) as environment:
        read = partial(load_pipeline, None, environment=environment, overrides=asked.overrides)
        yield ChangedFiles(read(), read, note)


def _stream(asked: Asked, files: ChangedFiles, stop: Stop) -> ChangedFiles | None:
    """Stream by these files; returns others where they were changed while the breaker held."""
    from stream_processor.cli.live import Above, dead_letters_of, live_line, terminal
    from stream_processor.operations.assemble import Environment
    from stream_processor.operations.observe import observing, secrets_of
    from stream_processor.operations.run import run as run_pipeline
    from stream_processor.runtime.clock import SystemClock
    from stream_processor.runtime.logging_setup import LogSettings, make_log

    pipeline, clock, console = files.now.pipeline, SystemClock(), terminal()
    request = replace(asked.request, released=files)
    settings = LogSettings(
        level=asked.level or pipeline.observability.log_level,
        pipeline=pipeline.pipeline_id,
        run_id=uuid.uuid4().hex[:8],
        secrets=secrets_of(pipeline),
    )
    stream = cast("TextIO", Above(console)) if asked.live else sys.stderr
    color: Color = "never" if os.environ.get("NO_COLOR") else "auto"
    with observing(pipeline, make_log(settings, stream, clock, color), clock) as seen:
        if asked.live:
            note(_headline(pipeline))
        try:
            with live_line(console, seen.snapshot) if asked.live else nullcontext():
                environment = Environment(seen, clock, stop)
                run_pipeline(pipeline, files.now.schema_file, request, environment)
        except Unavailable:
            if not stop.is_set():  # else a person has ended the waiting
                raise
        finally:
            if asked.live:
                end = seen.snapshot()
                note(f"{cell(end.state)}: rows {end.rows:,} · {cell(dead_letters_of(end))}")
    return files.changed()


def _headline(pipeline: Pipeline) -> str:
    parts = ("embedded engine", f"group {pipeline.group_id}", f"table {pipeline.sink.delta.table}")
    return cell(pipeline.name) + "   " + " · ".join(map(cell, parts))
