"""`run`: prove that the world is there, then stream until a goal, a signal or a decision."""

from __future__ import annotations

import gc
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from stream_processor.config.fields import SchemaFile
from stream_processor.config.pipeline import Pipeline
from stream_processor.errors import Fenced, Unavailable
from stream_processor.operations.assemble import Environment, RunTerms, engine
from stream_processor.operations.maintain.schedule import scheduled
from stream_processor.ports import Sink
from stream_processor.runtime.embedded import Engine
from stream_processor.runtime.holding import Holding, never_released
from stream_processor.runtime.interruption import interrupted_by
from stream_processor.runtime.object_store import open_store
from stream_processor.runtime.retry import Backoff, Retry, until_available
from stream_processor.runtime.store_proof import prove_conditional_create


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a person asked for: the terms, and how long to run and to wait.

    `wait` keeps trying a world that is away at the start instead of ending with exit code 3.
    `released` is asked while the breaker holds an unbounded run; see `runtime.holding.Holding`.
    """

    terms: RunTerms
    seconds_max: float | None = None
    wait: bool = False
    released: Callable[[], bool] = never_released

    @property
    def bounded(self) -> bool:
        """Whether it ends by itself: then it does not wait for a person either."""
        asked = (self.terms.records_max, self.seconds_max)
        return self.terms.until_latest or any(each is not None for each in asked)


def run(
    pipeline: Pipeline, schema_file: SchemaFile, request: RunRequest, environment: Environment
) -> int:
    """Stream; returns how many records became durable.

    Called by the CLI. Raises `Unavailable` when the world is away at the start (exit 3), a
    `ConfigurationError` (exit 2) or a `DecisionNeeded` (exit 1) when a person must act, and
    `BreakerOpen` (exit 4) where a bounded run would have to wait for one.
    """
    environment.observer.state("starting")
    made = engine(pipeline, schema_file, request.terms, environment)
    made.holding = None if request.bounded else Holding(request.released)
    with interrupted_by(environment.stop, made.parts.source):
        try:
            _begin(pipeline, made, request, environment)
        except BaseException:
            made.parts.source.close()
            raise
        with ExitStack() as around:
            around.enter_context(_for_seconds(request.seconds_max, made.expire))
            around.enter_context(_rare_collections())
            if not request.bounded:
                around.enter_context(scheduled(pipeline, schema_file, environment))
            made.run()
    return made.goal.records


def _begin(pipeline: Pipeline, made: Engine, request: RunRequest, environment: Environment) -> None:
    """Everything that can refuse does so now, before anything is written."""

    def look() -> None:
        for table, storage in (
            (pipeline.sink.delta.table, pipeline.sink.delta.storage),
            (pipeline.dead_letter_table, pipeline.dead_letter_storage),
        ):
            prove_conditional_create(open_store(table, storage))
        made.parts.source.check()
        first_look(made.parts.sink)
        first_look(made.parts.dead_letters)

    def report(error: Unavailable, failures: int) -> None:
        environment.observer.event(
            "waiting", reason=error.message, hint=error.hint, attempts=failures
        )

    # Two attempts before giving up: a server that is just being started deserves one.
    limits = Backoff() if request.wait else Backoff(attempts_max=2)
    dice = random.Random()  # noqa: S311 - jitter, not a secret
    until_available(look, Retry(limits, environment.clock, dice, environment.stop), report)


def first_look(sink: Sink) -> None:
    """Look at a table, which makes it where there is none. Called once per table at the start.

    Of processes that start first at the same moment one is told `Fenced` when both enter the owner;
    it is entered then, so it looks again.
    """
    with suppress(Fenced):
        sink.remembered()
        return
    sink.remembered()


@contextmanager
def _for_seconds(seconds: float | None, expire: Callable[[], None]) -> Iterator[None]:
    """Call `expire` after so many seconds, unless the block ended before."""
    if seconds is None:
        yield
        return
    timer = threading.Timer(seconds, expire)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Let Python's cycle collector look seldom, and never at what the start left behind.

    A batch is hundreds of thousands of objects that live together and hold no cycles; by default
    each few hundred of them cost a look at all others: 5 % of the CPU (docs/explanation/
    performance.md). What does hold cycles is still found, only later.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
