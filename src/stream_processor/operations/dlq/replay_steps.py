"""One step of a replay: a batch of dead letters is judged, written, and said to be so.

The order of the effects is what makes it safe (docs/explanation/replay.md): the rows first, in a
commit that succeeds only while the desk is ours; then the ledger. A job that dies between the two
has left the number of its step in the data table, and the next one writes the missing actions.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import pyarrow as pa

from stream_processor.operations.dlq.replay_actions import Deed, action_rows
from stream_processor.operations.dlq.replay_judge import Judged, judge, up_to_failure
from stream_processor.operations.dlq.replay_report import ReplayReport
from stream_processor.operations.dlq.replay_request import ReplayRequest, Surroundings
from stream_processor.operations.dlq.unrecorded import ROWS
from stream_processor.processor.plan import Plan, Stamp
from stream_processor.sinks.delta import fitted
from stream_processor.sinks.delta_desk import Desk
from stream_processor.sinks.delta_ledger import Ledger
from stream_processor.sinks.delta_rules import rules_of

THERE = "was in the data table already"


@dataclass(frozen=True, slots=True)
class Bench:
    """What the steps of one job work with."""

    plan: Plan
    desk: Desk
    ledger: Ledger
    request: ReplayRequest
    around: Surroundings
    report: ReplayReport

    def stamp(self) -> Stamp:
        """The time of a step: of its rows and of its actions."""
        return Stamp.at(self.around.clock.now())

    def judged(self, todo: pa.RecordBatch, stamp: Stamp) -> Judged:
        """Up to and with the first that fails, where a person wants to stop there."""
        rules = rules_of(self.desk.spec.uri, self.desk.table)
        patch = self.request.patch
        judged = partial(judge, plan=self.plan, stamp=stamp, patch=patch, rules=rules)
        return up_to_failure(todo, self.request.on_fail, judged)

    def note(self, kind: str, judged: Judged, stamp: Stamp) -> dict[str, Any]:
        """What the log of the data table says of the step; enough to write its actions again."""
        return {
            "kind": kind,
            "actor": self.around.doer.actor,
            "at": stamp.epoch_microseconds,
            "target": self.report.target,
            "note": self.remark(),
            **self.plan.transform.rules,
            "replayed": len(judged.replayed),
            "failed_again": judged.failed.num_rows,
        }

    def remark(self) -> str:
        """What is noted beside every record of this job."""
        schema = self.plan.schema
        said = f"schema {schema.version} ({schema.schema_hash[:8]})"
        patch = self.request.patch
        return said if patch is None else f"{said}, patched (sha256 {patch.digest[:16]})"

    def actions(
        self, judged: Judged, there: pa.RecordBatch, version: int | None, stamp: Stamp
    ) -> pa.Table:
        """Everything that the ledger must say of a step."""
        doer, when, target = self.around.doer, stamp.when, self.report.target
        replayed = Deed("replayed", target, version, self.remark())
        failed = judged.letters.take(judged.failed["row"].combine_chunks())
        again = Deed("failed_again", target, None, self.remark())
        found = dataclasses.replace(replayed, note=THERE)
        return pa.concat_tables(
            [
                action_rows(judged.letters.take(pa.array(judged.replayed)), replayed, doer, when),
                action_rows(failed, again, doer, when, judged.failed["code"].combine_chunks()),
                action_rows(there, found, doer, when),
            ]
        )

    def settled(self, judged: Judged, version: int) -> None:
        """Count a step that is durable and said to be so."""
        self.report.tally.add(judged)
        self.report.stepped(version)
        if self.request.on_fail == "stop" and judged.failed.num_rows:
            self.report.ended = "stopped"


class Target(Protocol):
    """Where the records go."""

    def step(self, todo: pa.RecordBatch, there: pa.RecordBatch) -> None:
        """Make one batch durable and record it: `todo` is judged, `there` is a row already.

        Raises `Fenced` when another job has the desk now, and `Unavailable`.
        """


@dataclass(slots=True)
class TableTarget:
    """Records become rows of the data table."""

    bench: Bench

    def step(self, todo: pa.RecordBatch, there: pa.RecordBatch) -> None:
        """See `Target.step`."""
        bench, desk = self.bench, self.bench.desk
        stamp = bench.stamp()
        judged = bench.judged(todo, stamp)
        written = desk.write(fitted(judged.rows, desk.table), bench.note(ROWS, judged, stamp))
        version = int(desk.table.version())
        actions = bench.actions(judged, there, version, stamp)
        bench.ledger.record(actions, written, {"run": bench.around.doer.run_id})
        bench.around.kill_point("replay.recorded")
        bench.settled(judged, version)
