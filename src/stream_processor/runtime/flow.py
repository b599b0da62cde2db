"""What became of the last events of one topic: the arithmetic of the breaker. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]
Int64s = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Limits:
    """When dead letters are a flood; the names are those of `dlq.breaker` in the pipeline file."""

    max_ratio: float = 0.2
    window_records: int = 10_000
    max_consecutive: int = 500


class Outcomes(NamedTuple):
    """The events of one topic in a batch, in its order: dead letter or not, and their partition."""

    dead: Mask
    partition: Int64s


def _nothing() -> Mask:
    return np.zeros(0, dtype=np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """One topic: at most `window_records` outcomes, and one number for each partition.

    `runs` are the dead letters at the end of each partition, without any other event between.
    `calm` counts the events since the last one that belonged to a run of `max_consecutive`, up to
    the window; None when there was none. `longest` is the longest run that the last batch saw.
    """

    recent: Mask = field(default_factory=_nothing)
    runs: Mapping[int, int] = field(default_factory=dict)
    calm: int | None = None
    longest: int = 0
    open: bool = False

    @property
    def records(self) -> int:
        """How many events the window holds."""
        return len(self.recent)

    @property
    def dead(self) -> int:
        """How many of them are dead letters."""
        return int(np.count_nonzero(self.recent))

    @property
    def ratio(self) -> float:
        """Their share; 0 of nothing."""
        return self.dead / self.records if self.records else 0.0

    def only(self, partitions: Collection[int]) -> Flow:
        """Without the runs of partitions that are not ours any more."""
        return replace(self, runs={p: n for p, n in self.runs.items() if p in partitions})


def after(flow: Flow, outcomes: Outcomes, limits: Limits) -> Flow:
    """The flow behind a batch. Called once per topic and batch by the breaker."""
    lengths, runs = _run_lengths(flow.runs, outcomes)
    long = np.flatnonzero(lengths >= limits.max_consecutive)
    calm = _calm(flow.calm, outcomes, long, limits.window_records)
    moved = Flow(
        recent=np.concatenate([flow.recent, outcomes.dead])[-limits.window_records :],
        runs={**flow.runs, **runs},
        calm=calm,
        longest=int(lengths.max(initial=0)),
    )
    full = moved.records == limits.window_records
    if calm is not None or (full and moved.ratio > limits.max_ratio):
        return replace(moved, open=True)
    closes = full and moved.ratio <= limits.max_ratio / 2
    return replace(moved, open=flow.open and not closes)


def _run_lengths(before: Mapping[int, int], outcomes: Outcomes) -> tuple[Int64s, dict[int, int]]:
    """For each event how many dead letters of its partition end with it; and the runs left open."""
    lengths = np.zeros(len(outcomes.dead), dtype=np.int64)
    runs: dict[int, int] = {}
    for partition in np.unique(outcomes.partition).tolist():
        rows = np.flatnonzero(outcomes.partition == partition)
        dead = outcomes.dead[rows]
        places = np.arange(1, len(rows) + 1)
        last_good = np.maximum.accumulate(np.where(dead, 0, places))
        carried = np.where(last_good == 0, before.get(partition, 0), 0)
        lengths[rows] = places - last_good + carried * dead
        runs[partition] = int(lengths[rows[-1]])
    return lengths, runs


def _calm(before: int | None, outcomes: Outcomes, long: Int64s, window: int) -> int | None:
    """Events since the last one in a long run; None once the window has none of them."""
    if len(long):
        calm = len(outcomes.dead) - 1 - int(long[-1])
    elif before is None:
        return None
    else:
        calm = before + len(outcomes.dead)
    return calm if calm < window else None


def outcomes_of(records: pa.RecordBatch, dead: pa.RecordBatch) -> dict[str, Outcomes]:
    """By topic what became of a batch; `dead` are the letters of some of its `records`.

    Events that were left out by rule count as good: nobody is to mend them.
    """
    if not records.num_rows:
        return {}
    topics = records.column("topic").cast(pa.string()).dictionary_encode()
    names = topics.dictionary.to_pylist()
    codes = topics.indices.to_numpy().astype(np.int64)
    partitions = _int64s(records, "partition")
    is_dead = np.zeros(records.num_rows, dtype=np.bool_)
    if dead.num_rows:
        letters = pc.index_in(dead.column("topic"), value_set=topics.dictionary).to_numpy()
        width = int(partitions.max()) + 1
        _mark(
            (codes * width + partitions, _int64s(records, "offset")),
            (
                letters.astype(np.int64) * width + _int64s(dead, "partition"),
                _int64s(dead, "offset"),
            ),
            is_dead,
        )
    return {
        names[code]: Outcomes(is_dead[rows], partitions[rows])
        for code in np.unique(codes).tolist()
        for rows in (codes == code,)
    }


def _mark(records: tuple[Int64s, Int64s], dead: tuple[Int64s, Int64s], found: Mask) -> None:
    """Set `found` for the records that are among the dead: both are (place, offset), and within a
    place the offsets rise."""
    for place in np.unique(dead[0]).tolist():
        rows = np.flatnonzero(records[0] == place)
        offsets = records[1][rows]
        found[rows[np.searchsorted(offsets, dead[1][dead[0] == place])]] = True


def _int64s(batch: pa.RecordBatch, name: str) -> Int64s:
    return np.asarray(batch.column(name).to_numpy(), np.int64)
