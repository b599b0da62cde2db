"""`dlq replay --dry-run`: what a replay would do, found out by the same code, writing nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pyarrow as pa

from stream_processor.operations.assemble import data_table, plan_of
from stream_processor.operations.dlq.letters import open_letters
from stream_processor.operations.dlq.replay import bounds_of, counted, target_name
from stream_processor.operations.dlq.replay_judge import judge, up_to_failure
from stream_processor.operations.dlq.replay_patch import Patch
from stream_processor.operations.dlq.replay_report import Tally
from stream_processor.operations.dlq.replay_request import ReplayRequest
from stream_processor.operations.dlq.replay_selection import select
from stream_processor.operations.dlq.replay_topic import (
    headers_left_out,
    refuse_loop,
    whole_letters,
)
from stream_processor.operations.snapshots import open_data, tables_of
from stream_processor.ports import Clock
from stream_processor.processor.excerpt import preview
from stream_processor.processor.plan import Plan, Stamp
from stream_processor.runtime.config_loader import LoadedPipeline
from stream_processor.sinks.delta_create import refuse_unless_writable
from stream_processor.sinks.delta_evolve import refuse_missing_columns
from stream_processor.sinks.delta_rules import rules_of


@dataclass(frozen=True, slots=True)
class Patched:
    """One record before and after the patch, masked as `preview_mask` says."""

    dlq_id: str
    before: str
    after: str


@dataclass(slots=True)
class Rehearsal:
    """What a replay would do now. `planned` is how many it would judge: all, or the limit."""

    target: str
    schema: str
    planned: int
    tally: Tally
    example: Patched | None = None
    headers_left_out: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """The names are an interface."""
        return {
            "dry_run": True,
            "target": self.target,
            "schema": self.schema,
            "planned": self.planned,
            **self.tally.as_json(),
            "patched": self.example
            and {
                "example": self.example.dlq_id,
                "before": self.example.before,
                "after": self.example.after,
            },
            "headers_left_out": dict(self.headers_left_out),
        }


def rehearse(loaded: LoadedPipeline, request: ReplayRequest, clock: Clock) -> Rehearsal:
    """Judge the very bytes by the rules on disk, and look up what is a row already.

    It takes no desk and may run beside anything. Raises as `replay`, but never `Fenced`.
    """
    if request.to is not None:
        refuse_loop(loaded.pipeline, request.to)
    tables = tables_of(loaded.pipeline)
    plan = plan_of(loaded.pipeline, loaded.schema_file)
    data = open_data(tables)
    spec = data_table(loaded.pipeline, plan)
    refuse_unless_writable(spec, data.table)
    refuse_missing_columns(spec, data.table)
    rules = rules_of(spec.uri, data.table)
    selection = select(open_letters(tables), request, tables, data)
    schema = f"{plan.schema.name} {plan.schema.version} ({plan.schema.schema_hash[:8]})"
    made = Rehearsal(target_name(tables, request), schema, selection.planned, Tally())
    counted(selection, made.tally)
    stamp = Stamp.at(clock.now())
    judging = (
        partial(judge, plan=plan, stamp=stamp, patch=request.patch, rules=rules)
        if request.to is None
        else partial(whole_letters, plan=plan)
    )
    for todo, _ in selection.batches(bounds_of(loaded, request)):
        judged = up_to_failure(todo, request.on_fail, judging)
        made.tally.add(judged)
        if request.to is not None:
            made.headers_left_out += headers_left_out(todo, request.to.headers)
        if request.patch is not None and made.example is None:
            made.example = _example(todo, request.patch, plan)
        if request.on_fail == "stop" and judged.failed.num_rows:
            break
    return made


def _example(letters: pa.RecordBatch, patch: Patch, plan: Plan) -> Patched | None:
    for letter in letters.select(["dlq_id", "value"]).to_pylist():
        after = patch.apply(letter["value"])
        if after is not None:
            shown = (preview(text, plan.masks, "validate") for text in (letter["value"], after))
            return Patched(letter["dlq_id"], *shown)
    return None
