"""What `verify` says: values that become JSON as they stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

SENTENCES = {
    "lost": "in no table and not accounted for",
    "double_row": "more than once in the data table",
    "double_dead_letter": "more than once in the dead letter table",
    "double_both": "a row and a dead letter, without a replay on record",
    "row_outside": "rows beyond what the table says it has read",
    "dead_letter_outside": "dead letters beyond what the tables say they have read",
    "surplus": "accounted for twice: as a row or dead letter, and in a counter",
    "hole_in_kafka": "counted as never delivered, though Kafka still delivers them",
    "no_identity": "rows without topic, partition or offset",
    "unknown_partition": "rows of a partition that this pipeline has never claimed",
    "commit_overwritten": "commits of this pipeline overwritten",
}
"""Every kind of finding, and what it means."""

DOUBLE = ("double_row", "double_dead_letter", "double_both")
_MORE_SENTENCE_KINDS = tuple(kind for kind in SENTENCES if kind not in {"lost", *DOUBLE})


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not be. `examples` are the first few offsets, where they are known.

    Of overwritten commits they are versions of the table, and `by` is the engine and the table.
    """

    kind: str
    topic: str | None
    topic_id: str | None
    partition: int | None
    count: int
    examples: tuple[int, ...] = ()
    by: str | None = None

    @property
    def sentence(self) -> str:
        """For a person."""
        return f"{self.count:,} {SENTENCES[self.kind]}" + (f" by {self.by}" if self.by else "")


@dataclass(frozen=True, slots=True)
class PartitionReport:
    """How every offset of [start, upto) is accounted for.

    offsets = rows + dead_letters - replayed - unrecorded + ledger + skipped + holes + expired +
    lost, unless there is a finding that says otherwise. `ledger` counts offsets that only the
    ledger still knows (purged, erased, or replayed and gone since). `unrecorded` of the dead
    letters are rows by a replay that was killed, or is at work, between the rows and the ledger:
    the log says so, and the next replay writes it down. `pending` dead letters, beyond `upto`,
    wait for their data half. `unchecked` holes are those that Kafka no longer holds; None: not
    asked.
    """

    topic: str
    topic_id: str | None
    partition: int
    start: int
    upto: int
    rows: int
    dead_letters: int
    replayed: int
    ledger: int
    skipped: int
    holes: int
    expired: int
    pending: int
    lost: int
    double: int
    unchecked: int | None = None
    unrecorded: int = 0

    @property
    def offsets(self) -> int:
        """How many offsets the data table says it has read."""
        return self.upto - self.start


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The outcome of `verify`; exit 1 when there is any finding."""

    pipeline: str
    data_version: int
    dead_letter_version: int | None
    partitions: tuple[PartitionReport, ...]
    findings: tuple[Finding, ...]

    @property
    def clean(self) -> bool:
        """Every offset is accounted for exactly once."""
        return not self.findings

    def total(self, of: Callable[[PartitionReport], int]) -> int:
        """One number summed over all partitions."""
        return sum(of(each) for each in self.partitions)

    @property
    def conclusion(self) -> str:
        """One sentence: `100,000 offsets: 99,012 rows, 988 dead letters, 0 lost, 0 double`."""
        total = self.total
        parts = [
            f"{total(lambda p: p.rows):,} rows",
            f"{total(lambda p: p.dead_letters):,} dead letters",
        ]
        rarer = {
            "of them replayed": total(lambda p: p.replayed + p.unrecorded),
            "purged or erased": total(lambda p: p.ledger),
            "skipped": total(lambda p: p.skipped),
            "holes": total(lambda p: p.holes),
            "expired": total(lambda p: p.expired),
        }
        parts += [f"{number:,} {name}" for name, number in rarer.items() if number]
        parts += [f"{total(lambda p: p.lost):,} lost", f"{total(lambda p: p.double):,} double"]
        ending = "".join(
            f"; {self._found(kind):,} {SENTENCES[kind]}"
            for kind in _MORE_SENTENCE_KINDS
            if self._found(kind)
        )
        if unrecorded := total(lambda p: p.unrecorded):
            ending += (
                f"; {unrecorded:,} replayed rows are unrecorded: "
                "run any `dlq replay` to complete the ledger"
            )
        if pending := total(lambda p: p.pending):
            ending += f"; {pending:,} dead letters wait for their data half"
        return f"{total(lambda p: p.offsets):,} offsets: {', '.join(parts)}{ending}"

    def as_json(self) -> dict[str, Any]:
        """For `verify --json`."""
        return {
            "pipeline": self.pipeline,
            "clean": self.clean,
            "conclusion": self.conclusion,
            "data_version": self.data_version,
            "dead_letter_version": self.dead_letter_version,
            "partitions": [asdict(p) | {"offsets": p.offsets} for p in self.partitions],
            "findings": [
                asdict(f) | {"examples": list(f.examples), "sentence": f.sentence}
                for f in self.findings
            ],
        }

    def _found(self, kind: str) -> int:
        return sum(finding.count for finding in self.findings if finding.kind == kind)
