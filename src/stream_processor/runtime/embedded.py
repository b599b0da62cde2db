"""The embedded engine: the only place where the order of effects is decided.

`prepare` is everything before an effect, `settle` is the effects in their order, `run_cycle` is one
batch end to end. The engine only lets `prepare` of the next batch run while `settle` of this one is
in flight; whatever goes wrong, it forgets both and takes over again, and the tables decide.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

import pyarrow as pa

from stream_processor.errors import (
    BreakerOpen,
    InternalError,
    OwnershipChanged,
    Rebalanced,
    StreamProcessorError,
    Unavailable,
)
from stream_processor.ports import Batch, Clock, DeadLetterSink, Observer, Offsets, Sink, Source
from stream_processor.processor.kernel import process
from stream_processor.processor.plan import Plan, Stamp
from stream_processor.processor.table_rules import without_broken
from stream_processor.runtime.breaker import Breaker
from stream_processor.runtime.goal import Goal
from stream_processor.runtime.holding import Holding
from stream_processor.runtime.mistakes import as_internal
from stream_processor.runtime.offsets import DeadByCode, account, dead_by_code
from stream_processor.runtime.ownership import Terms, take_over
from stream_processor.runtime.retry import Retry, Stop
from stream_processor.runtime.standing import Standings
from stream_processor.runtime.writer import HEAVY_BYTES, Writer

_SERVE_SECONDS = 0.05
_REVOKE_WAIT_SECONDS_MAX = 45.0  # below the group's session and poll limits
_SPARE = "other processes of the group own every partition: nothing is left to do here"


@dataclass(frozen=True, slots=True)
class Prepared:
    """One batch, processed and accounted for, before any effect; the raw events are let go."""

    valid: pa.RecordBatch
    dead: pa.RecordBatch
    next_offsets: Offsets


def prepare(batch: Batch, plan: Plan, stamp: Stamp, sink: Sink) -> Prepared:
    """All before an effect: pure, but for the table's own rules. Conservation is checked here."""
    done = process(batch.records, plan, stamp)
    processed = without_broken(done, sink.broken(done.valid), batch.records, plan, stamp)
    advances = account(batch, processed.valid, processed.dead, processed.skipped)
    return Prepared(processed.valid, processed.dead, advances)


def settle(prepared: Prepared, dead_letters: DeadLetterSink, sink: Sink, source: Source) -> Offsets:
    """Make one batch durable; return the offsets that are."""
    dead_letters.write(prepared.dead, upto=prepared.next_offsets)  # 1 evidence first [B3]
    sink.write(prepared.valid, upto=prepared.next_offsets)  # 2 then data: the commit point [B4]
    source.commit(prepared.next_offsets)  # 3 a hint for lag tools; the tables are the truth [B5]
    return prepared.next_offsets


def run_cycle(
    source: Source, plan: Plan, sink: Sink, dead_letters: DeadLetterSink, stamp: Stamp
) -> Offsets:
    """Move one batch end to end."""
    return settle(prepare(source.poll(), plan, stamp, sink), dead_letters, sink, source)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the engine drives; put together by `operations.assemble`."""

    source: Source
    plan: Plan
    sink: Sink
    dead_letters: DeadLetterSink
    terms: Terms


@dataclass(slots=True)
class Engine:
    """Runs one pipeline until `stop` is set or the goal is met. `run` is called once.

    `retry` waits between attempts after an outage, a fence or a mistake of ours; it is told of
    every success. `goal` says when a bounded run is done. Without `holding` the run ends by a
    `BreakerOpen` where the breaker would pause it.
    """

    parts: Parts
    observer: Observer
    clock: Clock
    retry: Retry
    stop: Stop
    goal: Goal
    breaker: Breaker = field(default_factory=Breaker)
    holding: Holding | None = None
    writer: Writer = field(default_factory=Writer)
    _in_flight: tuple[Future[Offsets], DeadByCode] | None = None  # the rows are the writer's alone
    _standings: Standings = field(default_factory=Standings)
    _stuck: str = ""

    def run(self) -> None:
        """Stream. Raises a `DecisionNeeded` or a `ConfigurationError` when a person must act."""
        try:
            while not self._done():
                with self._survive():
                    self._take_over()
                    self._stream()
        except StreamProcessorError as error:
            self.observer.state("failed", error.message)
            raise
        finally:
            self._close()
        spare = self.goal.is_spare(self.clock.monotonic())
        self.observer.state("stopped", _SPARE if spare else "")

    def expire(self) -> None:
        """End as after a stop, because the time that was asked for is over; from any thread."""
        self.goal.expired = True
        self.parts.source.interrupt()

    def wait_in_flight(self) -> None:
        """Wait, for a bounded time, for the commit in flight: the source's hook on revoke."""
        if self._in_flight is not None and not self.writer.hung:
            wait([self._in_flight[0]], timeout=_REVOKE_WAIT_SECONDS_MAX)

    def _take_over(self) -> None:
        """ON ASSIGN. Before the group has met nothing is ours, and the next poll tells of it."""
        with self._timed("claim"):
            positions = take_over(
                self.parts.source, self.parts.sink, self.parts.dead_letters, self.parts.terms
            )
        self._standings.claimed({p: at.next_offset for p, at in positions.items()})
        self.goal.claimed(positions, self.parts.source, self.clock.monotonic())
        if positions:
            self.observer.event("claimed", partitions=len(positions))
        self.breaker.claimed(positions)
        self._stuck = ""
        self.observer.state("running")

    def _stream(self) -> None:
        """LOOP: prepare(n+1) while settle(n) is in flight; ends by an exception or when done."""
        while not self._done():
            self._step()
        if self.stop.is_set():
            self.observer.state("draining")
        self._await_in_flight()

    def _step(self) -> None:
        """Poll and prepare one batch, hand it to the writer. A function of its own, since what a
        local name still held would stay in memory while the next batch is filled."""
        with self._timed("poll"):
            batch = self.parts.source.poll(self._between)
        self._standings.polled(batch)
        self._report()
        if batch.moves:
            with self._timed("process"):
                stamp = Stamp.at(self.clock.now(), self.breaker.flooded)
                prepared = prepare(batch, self.parts.plan, stamp, self.parts.sink)
                upto = self.breaker.judged(batch.records, prepared.dead, prepared.next_offsets)
                prepared = replace(prepared, next_offsets=upto)
            self._await_in_flight()
            settled = self.writer.submit(
                settle, prepared, self.parts.dead_letters, self.parts.sink, self.parts.source
            )
            self._in_flight = (settled, dead_by_code(prepared.dead))
            if self.breaker.trips or prepared.dead.nbytes > HEAVY_BYTES:
                self._await_in_flight()
            if self.breaker.trips:
                raise self.breaker.refuse()
        if not batch.moves or self.goal.may_be_met(batch):
            self._await_in_flight()

    def _between(self) -> None:
        """Called while a poll waits: what became of the commit in flight is told, or raised, now,
        and not only when the next batch is complete."""
        if self._in_flight is not None and self._in_flight[0].done():
            self._await_in_flight()
        self._name_stuck()
        if self._done():
            self.parts.source.interrupt()

    def _await_in_flight(self) -> None:
        """Wait for the commit in flight, serving the group; raise what it raised."""
        if self._in_flight is None:
            return
        future, _ = self._in_flight
        self.writer.await_end(future, self.parts.source.keep_alive)
        self._landed()
        future.result()

    def _landed(self) -> None:
        """The commit in flight is done: tell what became of it. Raises nothing."""
        if self._in_flight is None:
            return
        future, dead = self._in_flight
        self._in_flight = None
        if (error := future.exception()) is not None:
            self.observer.event("commit_failed", kind=type(error).__name__)
            return
        upto = future.result()
        self.retry.succeeded()
        self.goal.settled(upto)
        self._standings.settled(upto)
        self.observer.settled(upto, dead)
        self.breaker.settled()
        age = self._standings.age_seconds(self.clock.now())
        if age is not None:
            self.observer.timed("end_to_end", age)
        self._report()

    @contextmanager
    def _survive(self) -> Iterator[None]:
        """Turn every exception that is not a person's business into "forget and take over"."""
        try:
            yield
        except Rebalanced as change:
            self._forget()
            self.observer.event("rebalanced", reason=change.message)
        except (OwnershipChanged, Unavailable, InternalError) as error:
            self._pause(error)
        except BreakerOpen as flood:
            self._hold(flood)
        except StreamProcessorError:
            raise
        except Exception as error:  # noqa: BLE001 - a mistake of ours must not lose the stream
            self.observer.event("internal_error", error=error)
            self._pause(as_internal(error))

    def _pause(self, error: StreamProcessorError) -> None:
        """Say why, forget everything in memory, and wait with jitter while serving the group."""
        self._forget()
        self.observer.event("retrying", kind=type(error).__name__, reason=error.message)
        if not isinstance(error, OwnershipChanged):
            self.observer.state("paused", f"{error.message}; {error.hint}".rstrip("; "))
        delay = self.retry.failed()
        if delay is None and not self.stop.is_set():
            raise error
        until = self.clock.monotonic() + (delay or 0.0)
        while not self._done() and (left := until - self.clock.monotonic()) > 0:
            # A rebalance meanwhile, or a broker that is away too: the next attempt sees it.
            with suppress(OwnershipChanged, Unavailable):
                self.parts.source.keep_alive()
            self.stop.wait(min(_SERVE_SECONDS, left))

    def _hold(self, flood: BreakerOpen) -> None:
        """The stream pauses until a person has done something; a bounded run ends."""
        self._forget()
        if self.holding is None:
            raise flood
        self.observer.state("paused", f"{flood.message}; {flood.hint}")
        self.holding.wait(self.parts.source, self.observer, self.stop, self._done)

    def _forget(self) -> None:
        """Drop what is in memory. A commit in flight cannot be called back, so wait for its end."""
        if self._in_flight is not None:
            self.writer.await_end(self._in_flight[0])
            self._landed()
        self._standings.claimed({})
        self.breaker.forgotten()
        with suppress(OwnershipChanged, Unavailable):  # the next take-over meets it again
            self.parts.source.start({})

    def _name_stuck(self) -> None:
        """The stream goes on without these partitions; say so once per change. A bounded run that
        has nothing else to do ends by a `PartitionUnreadable`."""
        stuck = self.parts.source.stuck()
        reason = "; ".join(f"{part}: {why}" for part, why in sorted(stuck.items()))
        if reason != self._stuck:
            self._stuck = reason
            self.observer.state("running", reason)
        self.goal.refuse_stuck(stuck)

    def _report(self) -> None:
        self.observer.standing(self._standings.standings(self.parts.source.ends()))
        self.observer.buffered(*self._standings.buffered())

    def _done(self) -> bool:
        now = self.clock.monotonic()
        over = self.holding is not None and self.holding.over
        return over or self.stop.is_set() or self.goal.is_met() or self.goal.is_spare(now)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        started = self.clock.monotonic()
        yield
        self.observer.timed(stage, self.clock.monotonic() - started)

    def _close(self) -> None:
        self.writer.close()
        self.parts.source.close()
        self.parts.dead_letters.close()
        self.parts.sink.close()
