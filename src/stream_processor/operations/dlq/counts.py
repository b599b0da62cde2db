"""How many dead letters there are of what: per day for `dlq stats`, per hour for `dlq show`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stream_processor.operations.dlq.letters import DeadLetters
from stream_processor.operations.dlq.selection import Selector


@dataclass(frozen=True, slots=True, order=True)
class DayCount:
    """So many dead letters of one day, stage, code and status."""

    day: date
    stage: str
    code: str
    status: str
    count: int

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "day": self.day.isoformat(),
            "stage": self.stage,
            "code": self.code,
            "status": self.status,
            "count": self.count,
        }


def per_day(letters: DeadLetters, selector: Selector) -> list[DayCount]:
    """Newest day first, largest count first within it. Raises `Unavailable`."""
    counts: Counter[tuple[date, str, str, str]] = Counter()
    for batch in letters.read_coded(selector, ["failed_date", "stage", "code"]):
        table = pa.Table.from_batches([batch]).drop_columns(["acted_at"])
        for row in table.group_by(table.column_names).aggregate([([], "count_all")]).to_pylist():
            *key, count = row.values()
            counts[tuple(key)] += count
    rows = [DayCount(*key, count=count) for key, count in counts.items()]
    return sorted(rows, key=lambda row: (-row.day.toordinal(), -row.count, row))


def per_hour(letters: DeadLetters, selector: Selector) -> Mapping[datetime, int]:
    """How many failed in each hour that had any, oldest first. Raises `Unavailable`."""
    counts: Counter[datetime] = Counter()
    for batch in letters.read_coded(selector, ["failed_at"]):
        hours = pc.floor_temporal(batch["failed_at"], unit="hour").value_counts()
        counts.update({each["values"]: each["counts"] for each in hours.to_pylist()})
    return dict(sorted(counts.items()))
