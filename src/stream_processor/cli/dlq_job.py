"""What a job on dead letters takes from the process: who does it, the clock, and Ctrl-C."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stream_processor.cli.output import note
from stream_processor.cli.progress import progress

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
