"""What a purge would do: which letters of which days, what is left alone, and why. Writes nothing.

One pass over coordinates and sizes; payloads are not read.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stream_processor.operations.dlq.identity import IDENTITY
from stream_processor.operations.dlq.letters import DeadLetters
from stream_processor.operations.dlq.nearest import nothing_matched
from stream_processor.operations.dlq.removal import Mask, below
from stream_processor.operations.dlq.selection import Selector
from stream_processor.ports import Memory

if TYPE_CHECKING:
    from stream_processor.operations.dlq.purge import PurgeRequest

GONE = ("purged", "erased")
_HEAD_BYTES = 64 * 1024  # what is kept of a value that was cut


@dataclass(frozen=True, slots=True)
class DayPlan:
    """The letters of one `failed_date` that would go, by what is the case with them."""

    day: date
    by_status: Mapping[str, int]
    value_bytes: int

    @property
    def letters(self) -> int:
        """How many of this day."""
        return sum(self.by_status.values())


@dataclass(frozen=True, slots=True)
class PurgePlan:
    """A purge before it happens. `left` are selected letters that it would not touch, by why.

    `unfinished` are ids of letters that the ledger calls gone and that are still in the table.
    """

    days: tuple[DayPlan, ...]
    left: Mapping[str, int]
    unfinished: Mapping[date, pa.Array]
    archive: str

    @property
    def letters(self) -> int:
        """How many would go."""
        return sum(day.letters for day in self.days)

    @property
    def unfinished_letters(self) -> int:
        """How many an earlier job has left behind."""
        return sum(len(ids) for ids in self.unfinished.values())

    def as_json(self) -> dict[str, Any]:
        """For `dlq purge --json`."""
        return {
            "letters": self.letters,
            "value_bytes": sum(day.value_bytes for day in self.days),
            "archive": self.archive,
            "left": dict(self.left),
            "unfinished": self.unfinished_letters,
            "days": [
                {
                    "day": day.day.isoformat(),
                    "letters": day.letters,
                    "by_status": dict(day.by_status),
                    "value_bytes": day.value_bytes,
                }
                for day in self.days
            ],
        }


def plan_on(letters: DeadLetters, memory: Memory, request: PurgeRequest, archive: str) -> PurgePlan:
    """The plan on these snapshots; `memory` is the data table's, opened before the letters.

    Raises what `nothing_matched` makes when there is nothing to do at all.
    """
    statuses: dict[date, Counter[str]] = defaultdict(Counter)
    sizes: Counter[date] = Counter()
    left: Counter[str] = Counter()
    for batch in letters.read(request.selected(), [*_COLUMNS, *IDENTITY]):
        mask = eligible(batch, memory, request.statuses)
        for day, status, number, size in _sums(batch.filter(pa.array(mask))):
            statuses[day][status] += number
            sizes[day] += size
        _count_left(batch, memory, mask, left)
    unfinished = _unfinished(letters, memory)
    if not (statuses or left or unfinished):
        raise nothing_matched(letters, request.selected(), until="before")
    days = [DayPlan(day, dict(sorted(statuses[day].items())), sizes[day]) for day in statuses]
    return PurgePlan(
        tuple(sorted(days, key=lambda each: each.day)),
        dict(sorted(left.items())),
        unfinished,
        archive,
    )


def eligible(batch: pa.RecordBatch, memory: Memory, statuses: tuple[str, ...]) -> Mask:
    """Which rows may go: what is the case with them is one of `statuses`, and they are done."""
    wanted = pa.array(statuses, pa.string())
    fit = np.asarray(pc.is_in(batch["status"], value_set=wanted), dtype=np.bool_)
    return fit & below(batch, memory)


_COLUMNS = ("failed_date", "value_size", "value_truncated")


def _sums(batch: pa.RecordBatch) -> list[tuple[date, str, int, int]]:
    cut = batch["value_truncated"].fill_null(False)  # noqa: FBT003 - the value to fill with
    size = pc.if_else(
        cut, pc.min_element_wise(batch["value_size"], _HEAD_BYTES), batch["value_size"]
    )
    rows = pa.table({"day": batch["failed_date"], "status": batch["status"], "size": size})
    sums = rows.group_by(["day", "status"]).aggregate([([], "count_all"), ("size", "sum")])
    return [
        (row["day"], row["status"], row["count_all"], row["size_sum"] or 0)
        for row in sums.to_pylist()
    ]


def _count_left(batch: pa.RecordBatch, memory: Memory, going: Mask, left: Counter[str]) -> None:
    """Why the others stay. What is gone already is not `left`: it is on its way out."""
    done = below(batch, memory)
    left["pending"] += int((~done).sum())
    for row in pc.value_counts(batch["status"].filter(pa.array(done & ~going))).to_pylist():
        if row["values"] not in GONE:
            left[row["values"]] += row["counts"]
    left += Counter()


def _unfinished(letters: DeadLetters, memory: Memory) -> dict[date, pa.Array]:
    found: dict[date, list[pa.Array]] = defaultdict(list)
    if not pc.any(pc.is_in(letters.statuses.newest["action"], value_set=pa.array(GONE))).as_py():
        return {}
    for batch in letters.read(Selector(), ["dlq_id", "failed_date", *IDENTITY]):
        gone = batch.filter(pa.array(eligible(batch, memory, GONE)))
        for day in pc.unique(gone["failed_date"]).to_pylist():
            found[day].append(gone["dlq_id"].filter(pc.equal(gone["failed_date"], day)))
    return {day: pa.concat_arrays(parts) for day, parts in sorted(found.items())}
