"""`verify` on random histories of right writers, and on the same histories with planted damage."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.operations.lakehouse import Lakehouse

FATES = st.sampled_from(["row", "row", "row", "dead", "skip", "hole"])


@dataclass
class History:
    """A pipeline of one partition that follows the commit protocol to the letter.

    `fate` is decided anew for each reading of an offset, like under another schema after a restart;
    what the dead letter table holds already stays a dead letter.
    """

    lake: Lakehouse
    start: int
    at: int = 0
    rows: set[int] = field(default_factory=set)
    dead: set[int] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=lambda: {"hole": 0, "skip": 0})

    def begin(self) -> None:
        self.at = self.start
        self.lake.dead([], upto=self.at)
        self.lake.data([], upto=self.at, start=self.start)

    def batch(self, fates: list[str], *, crash: bool) -> None:
        upto = self.at + len(fates)
        fate = dict(zip(range(self.at, upto), fates, strict=True))
        held = {offset for offset in fate if offset in self.dead}
        dead = {o for o, f in fate.items() if f == "dead"} - held
        if dead:
            self.lake.dead(sorted(dead), upto=max([upto, *(d + 1 for d in self.dead)]))
            self.dead |= dead
        if crash:
            return
        rows = {o for o, f in fate.items() if f == "row"} - held
        for name in self.counts:
            self.counts[name] += len({o for o, f in fate.items() if f == name} - held)
        self.at = upto
        self.rows |= rows
        counters = {"holes": self.counts["hole"], "skipped": self.counts["skip"]}
        self.lake.data(sorted(rows), upto=upto, **counters)


@contextmanager
def history(start: int, batches: list[tuple[list[str], bool]]) -> Iterator[History]:
    with tempfile.TemporaryDirectory() as folder:
        made = History(Lakehouse(folder), start)
        made.begin()
        for fates, crash in batches:
            made.batch(fates, crash=crash)
        yield made


BATCHES = st.lists(st.tuples(st.lists(FATES, min_size=1, max_size=8), st.booleans()), max_size=6)
STARTS = st.sampled_from([0, 7, 2**20 - 3, 10**12])


@settings(max_examples=40, deadline=None)
@given(start=STARTS, batches=BATCHES)
def test_a_right_history_is_clean(start, batches):
    """A false alarm at night is as costly as a missed loss."""
    with history(start, batches) as made:
        report = made.lake.verify()
        [part] = report.partitions
        assert report.findings == ()
        assert part.rows == len(made.rows)
        assert part.dead_letters == len({o for o in made.dead if o < made.at})
        assert part.pending == len({o for o in made.dead if o >= made.at})
        assert part.offsets == made.at - start


@settings(max_examples=40, deadline=None)
@given(
    start=STARTS,
    batches=BATCHES,
    last=st.lists(FATES, max_size=8),
    damage=st.sampled_from(["remove", "repeat", "both", "beyond"]),
    pick=st.integers(0, 1000),
)
def test_planted_damage_is_found_and_named(start, batches, last, damage, pick):
    """Whatever goes wrong in a table, the report names the offset."""
    with history(start, [*batches, (["row", *last], False)]) as made:
        lake = made.lake
        victims = sorted(made.rows) or [None]
        victim = victims[pick % len(victims)]
        if victim is None:
            return  # every row of the last batch was held back: nothing to damage
        if damage == "remove":
            DeltaTable(lake.tables.data).delete(f"_kafka_offset = {victim}")
        elif damage == "repeat":
            lake.data([victim])
        elif damage == "both":
            lake.dead([victim])
        else:
            victim = made.at + pick
            lake.data([victim])
        found = {finding.kind: finding for finding in lake.verify().findings}
        kind = {"remove": "lost", "repeat": "double_row", "both": "double_both"}.get(damage)
        finding = found[kind or "row_outside"]
        assert finding.count == 1
        # This writer notes no hole ranges, so a hole may be named before the one that was lost.
        other_gaps = damage == "remove" and any(made.counts.values())
        assert other_gaps or finding.examples == (victim,)
