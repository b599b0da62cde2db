"""What a replay did, or would do, as values that the command line shows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from stream_processor.operations.dlq.replay_judge import Judged

_CAUSES_MAX = 1_000


@dataclass(frozen=True, slots=True, order=True)
class Cause:
    """Why records fail, as `dlq list` groups them; `field` is None where no field is to blame."""

    stage: str
    code: str
    field: str | None


@dataclass(slots=True)
class Failures:
    """Why records failed again: how many of each cause, and one of them."""

    counts: Counter[Cause] = field(default_factory=Counter)
    examples: dict[Cause, str] = field(default_factory=dict)

    def add(self, failed: pa.Table) -> None:
        """Take in failures shaped as `replay_judge.FAILURE`."""
        for row in failed.select(["stage", "code", "field_path", "dlq_id"]).to_pylist():
            cause = Cause(row["stage"], row["code"], row["field_path"])
            if cause not in self.counts and len(self.counts) >= _CAUSES_MAX:
                cause = Cause(row["stage"], row["code"], None)  # strangers may invent fields
            self.counts[cause] += 1
            self.examples.setdefault(cause, row["dlq_id"])

    def as_json(self) -> list[dict[str, Any]]:
        """The most frequent first."""
        return [
            {
                "stage": cause.stage,
                "code": cause.code,
                "field": cause.field,
                "records": count,
                "example": self.examples[cause],
            }
            for cause, count in self.sorted()
        ]

    def sorted(self) -> list[tuple[Cause, int]]:
        """(cause, how many), the most frequent first."""
        return sorted(
            self.counts.items(),
            key=lambda each: (-each[1], each[0].stage, each[0].code, each[0].field or ""),
        )


@dataclass(slots=True)
class Tally:
    """Records by what became of them; `there` were rows already, `left` nothing is done with."""

    matched: int = 0
    replayed: int = 0
    skipped: int = 0
    there: int = 0
    pending: int = 0
    left: int = 0
    failures: Failures = field(default_factory=Failures)

    @property
    def failed(self) -> int:
        """How many failed again."""
        return self.failures.counts.total()

    def add(self, judged: Judged) -> None:
        """Take in what became of some letters."""
        self.replayed += len(judged.replayed)
        self.skipped += len(judged.skipped)
        self.failures.add(judged.failed)

    def as_json(self) -> dict[str, Any]:
        """The names are an interface."""
        return {
            "matched": self.matched,
            "replayed": self.replayed,
            "failed_again": self.failed,
            "skipped": self.skipped,
            "already_there": self.there,
            "pending": self.pending,
            "left_alone": self.left,
            "failures": self.failures.as_json(),
        }


@dataclass(slots=True)
class ReplayReport:
    """What one replay did. `ended` is done, limit, cancelled or stopped (`--on-fail stop`).

    `versions` are the first and the last version of the data table that it made; `repaired` how
    many records of an earlier, killed job got their rows in the ledger.
    """

    run_id: str
    target: str
    tally: Tally
    ended: str = "done"
    steps: int = 0
    versions: tuple[int, int] | None = None
    repaired: int = 0
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        """Whether nothing failed again and nothing was left out by a rule."""
        return not (self.tally.failed or self.tally.skipped)

    def stepped(self, version: int) -> None:
        """One more step is durable."""
        self.steps += 1
        self.versions = (self.versions[0] if self.versions else version, version)

    def as_json(self) -> dict[str, Any]:
        """The names are an interface."""
        return {
            "run_id": self.run_id,
            "target": self.target,
            "ended": self.ended,
            **self.tally.as_json(),
            "repaired": self.repaired,
            "steps": self.steps,
            "versions": self.versions,
            "seconds": round(self.seconds, 1),
        }
