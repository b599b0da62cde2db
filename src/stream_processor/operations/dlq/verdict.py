"""What today's schema makes of one dead letter: the question behind every `dlq show`. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from stream_processor.processor.kernel import process
from stream_processor.processor.plan import Plan, Stamp
from stream_processor.sources.replay import raw_events

STAGES = ("decode", "parse", "validate", "transform", "write")
"""The steps that an event takes to become a row, in their order (records.md, 4)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`row`: it would be one; `dead_letter`: it would fail again, for this reason; `skipped`: it
    would be left out by rule; `unknown`: the stored value is not the whole event.
    """

    outcome: Literal["row", "dead_letter", "skipped", "unknown"]
    code: str | None = None
    field_path: str | None = None
    message: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "outcome": self.outcome,
            "code": self.code,
            "field_path": self.field_path,
            "message": self.message,
        }


def verdict(letter: pa.RecordBatch, plan: Plan, stamp: Stamp) -> Verdict:
    """Judge a batch of one dead letter by the very rules of a run; writes nothing."""
    if letter["value_truncated"][0].as_py():
        return Verdict("unknown")
    done = process(raw_events(letter), plan, stamp)
    if done.valid.num_rows:
        return Verdict("row")
    if done.skipped.num_rows:
        return Verdict("skipped", message=done.skipped["reason"][0].as_py())
    (dead,) = done.dead.select(["code", "field_path", "message"]).to_pylist()
    return Verdict("dead_letter", **dead)


def ladder(stage: str) -> list[tuple[str, Literal["ok", "failed", "not reached"]]]:
    """How far an event came that failed at this stage."""
    if stage not in STAGES:
        return [*((name, "not reached") for name in STAGES), (stage, "failed")]
    failed = STAGES.index(stage)
    return [
        (name, "ok" if place < failed else "failed" if place == failed else "not reached")
        for place, name in enumerate(STAGES)
    ]
