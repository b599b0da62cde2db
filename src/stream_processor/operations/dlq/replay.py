"""`dlq replay`: dead letters become rows by today's rules, or go back to a topic; exactly once.

The protocol, every place where it may be killed and why each is harmless:
docs/explanation/replay.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial

from stream_processor.operations.assemble import desk, ledger, plan_of
from stream_processor.operations.dlq.letters import DeadLetters, open_letters
from stream_processor.operations.dlq.nearest import nothing_matched
from stream_processor.operations.dlq.replay_repair import Repair
from stream_processor.operations.dlq.replay_report import ReplayReport, Tally
from stream_processor.operations.dlq.replay_request import (
    BATCH_ROWS_MAX,
    BATCH_SECONDS_MAX,
    ReplayRequest,
    Surroundings,
)
from stream_processor.operations.dlq.replay_selection import Bounds, Selection, select
from stream_processor.operations.dlq.replay_steps import Bench, TableTarget, Target
from stream_processor.operations.dlq.replay_topic import (
    TopicTarget,
    find_sent,
    open_topic,
    refuse_loop,
)
from stream_processor.operations.snapshots import Snapshot, Tables, tables_of
from stream_processor.runtime.config_loader import LoadedPipeline
from stream_processor.runtime.object_store import open_store
from stream_processor.sinks import delta_ids, delta_log
from stream_processor.sinks.delta_desk import Desk

_BATCH_SHARE = 16  # of the memory for events: a batch is about three times its raw size in work


def replay(loaded: LoadedPipeline, request: ReplayRequest, around: Surroundings) -> ReplayReport:
    """Run one replay to its end, its limit, the first failure or the stop.

    Called by the command line. Raises `Fenced` when another job takes the desk meanwhile, what
    `nothing_matched` makes for a selector that finds nothing, `ConfigurationError`, `TableRefused`
    and `Unavailable`; whatever it raises, what is done stays done and nothing is done twice.
    """
    started = around.clock.monotonic()
    if request.to is not None:
        refuse_loop(loaded.pipeline, request.to)
    tables = tables_of(loaded.pipeline)
    plan = plan_of(loaded.pipeline, loaded.schema_file)
    _refuse_nothing(open_letters(tables), request)
    mine = desk(loaded.pipeline, plan, around.doer.run_id, around.kill_point)
    mine.claim("replay")
    around.kill_point("replay.claimed")
    report = ReplayReport(around.doer.run_id, target_name(tables, request), Tally())
    bench = Bench(plan, mine, ledger(loaded.pipeline), request, around, report)
    store = open_store(tables.data, tables.storage)
    find = partial(find_sent, loaded.pipeline, around.clock)
    repair = Repair(mine, bench.ledger, store, lambda: open_letters(tables), find)
    report.repaired = repair.run()
    around.kill_point("replay.repaired")
    letters = open_letters(tables)
    if not (report.repaired and _finds_nothing(letters, request)):
        selection = select(letters, request, tables, _held(mine, tables))
        with _target(bench, loaded) as target:
            _work(bench, selection, target, bounds_of(loaded, request))
    report.seconds = around.clock.monotonic() - started
    _leave_report(bench)
    return report


def _refuse_nothing(letters: DeadLetters, request: ReplayRequest) -> None:
    """A mistyped selector must not take the desk from a job that is at work."""
    if _finds_nothing(letters, request):
        raise nothing_matched(letters, request.selector)


def _finds_nothing(letters: DeadLetters, request: ReplayRequest) -> bool:
    return next(letters.read(request.selector, ["dlq_id"]), None) is None


def bounds_of(loaded: LoadedPipeline, request: ReplayRequest) -> Bounds:
    """How much of the dead letters may be in memory: as much as a batch of the stream, at most."""
    commit, engine = loaded.pipeline.sink.delta.commit, loaded.pipeline.engine
    rows_max = min(BATCH_ROWS_MAX, commit.max_records)
    if request.rate is not None:
        rows_max = min(rows_max, max(1, int(request.rate * BATCH_SECONDS_MAX)))
    return Bounds(rows_max, min(int(commit.max_bytes), int(engine.memory_limit) // _BATCH_SHARE))


def counted(selection: Selection, tally: Tally) -> None:
    """What is known of the records before any is judged."""
    tally.matched, tally.left = selection.matched, selection.left
    tally.there, tally.pending = selection.there, selection.pending


def target_name(tables: Tables, request: ReplayRequest) -> str:
    """What stands as `target` in the ledger."""
    return tables.data if request.to is None else f"topic:{request.to.name}"


@contextmanager
def _target(bench: Bench, loaded: LoadedPipeline) -> Iterator[Target]:
    if bench.request.to is None:
        yield TableTarget(bench)
        return
    with closing(open_topic(loaded.pipeline, bench.request.to.name, bench.around.clock)) as topic:
        yield TopicTarget(bench, topic)


def _held(mine: Desk, tables: Tables) -> Snapshot:
    """The data table as the desk holds it: whoever else writes, nobody replays meanwhile."""
    version = int(mine.table.version())
    store = open_store(tables.data, tables.storage)
    memory = delta_ids.read(tables.pipeline_id, delta_log.transactions(store, version))
    return Snapshot(tables.data, mine.table, store, version, memory)


def _work(bench: Bench, selection: Selection, target: Target, bounds: Bounds) -> None:
    report, around = bench.report, bench.around
    counted(selection, report.tally)
    pace = _Pace(bench)
    done = 0
    around.progress(0, selection.planned)
    for todo, there in selection.batches(bounds):
        if around.stop.is_set():
            report.ended = "cancelled"
            return
        target.step(todo, there)
        if report.ended == "stopped":
            return
        done += todo.num_rows
        around.progress(done, selection.planned)
        if done < selection.planned:
            pace.wait(done)
    if selection.planned < selection.todo:
        report.ended = "limit"


class _Pace:
    """Keeps to `--rate` on average since the beginning; a stop ends the waiting."""

    def __init__(self, bench: Bench) -> None:
        self._rate = bench.request.rate
        self._around = bench.around
        self._started = bench.around.clock.monotonic()

    def wait(self, done: int) -> None:
        if self._rate is None:
            return
        ahead = self._started + done / self._rate - self._around.clock.monotonic()
        if ahead > 0:
            self._around.stop.wait(ahead)


def _leave_report(bench: Bench) -> None:
    """The whole job in one line of the ledger's log, for whoever asks later."""
    if bench.report.steps or bench.report.repaired:
        told = bench.report.as_json()
        bench.around.kill_point("replay.before_report")
        bench.ledger.report({"run": told["run_id"], "report": told})
