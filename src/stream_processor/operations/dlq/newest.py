"""The newest dead letters of a selector, however many there are, in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from stream_processor.operations.dlq.letters import DeadLetters
from stream_processor.operations.dlq.selection import Selector
from stream_processor.schema.types import TIMESTAMP

_ORDER = [
    ("failed_at", "descending"),
    ("topic", "ascending"),
    ("partition", "ascending"),
    ("offset", "descending"),
]


@dataclass(frozen=True, slots=True)
class Newest:
    """Some rows, newest first, of `total` that the selector means."""

    rows: tuple[dict[str, Any], ...]
    total: int


def newest(
    letters: DeadLetters, selector: Selector, columns: Sequence[str], rows_max: int
) -> Newest:
    """The newest `rows_max` with these columns and `status`. Called by `dlq list` and `dlq show`.

    The first pass reads times alone and finds how far back to go; the second opens only the days
    from there on. Raises `Unavailable`.
    """
    total = 0
    latest = np.zeros(0, np.int64)
    for batch in letters.read_coded(selector, ["failed_at"]):
        total += batch.num_rows
        times = batch["failed_at"].cast(pa.int64()).to_numpy(zero_copy_only=False)
        latest = np.sort(np.concatenate([latest, times]))[-rows_max:]
    if not len(latest):
        return Newest((), 0)
    since = pa.scalar(int(latest[0]), TIMESTAMP).as_py()
    wanted = [*dict.fromkeys([*columns, *(name for name, _ in _ORDER)])]
    kept: pa.Table | None = None
    near = replace(selector, since=since)
    for batch in letters.read(near, wanted):
        both = [pa.Table.from_batches([batch]), *([kept] if kept is not None else [])]
        kept = pa.concat_tables(both).sort_by(_ORDER).slice(0, rows_max).combine_chunks()
    return Newest(tuple(kept.to_pylist() if kept is not None else ()), total)
