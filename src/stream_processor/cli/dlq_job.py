"""What a job on dead letters takes from the process: who does it, the clock, and Ctrl-C."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stream_processor.cli.output import note

if TYPE_CHECKING:
    from stream_processor.operations.dlq.replay_request import Surroundings
    from stream_processor.runtime.config_loader import LoadedPipeline
    from stream_processor.runtime.lifecycle import Lifecycle


@contextmanager
def job(loaded: LoadedPipeline, name: str) -> Iterator[tuple[Surroundings, Lifecycle]]:
    """Run a job within this: the first Ctrl-C ends it between two steps, a second one at once."""
    from stream_processor.operations.dlq.actor import this_person
    from stream_processor.operations.dlq.replay_request import Doer, Surroundings, new_run_id
    from stream_processor.runtime.clock import SystemClock
    from stream_processor.runtime.lifecycle import Lifecycle

    clock = SystemClock()
    lifecycle = Lifecycle(clock, float(loaded.pipeline.engine.drain_timeout), last_words=note)
    doer = Doer(new_run_id(clock.now()), this_person())
    with lifecycle.handling_signals(), progress(name) as told:
        yield Surroundings(doer, clock, lifecycle.stop, progress=told), lifecycle


@contextmanager
def progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, nothing elsewhere; it is gone at the end."""
    if not sys.stderr.isatty():
        yield lambda _done, _all: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from stream_processor.cli.live import terminal

    columns = (TextColumn(name), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=terminal(), transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)
