"""Real sinks that follow the steps of the model, so that the model is of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pytest

from stream_processor.errors import Fenced, StreamProcessorError
from stream_processor.ports import Advance, DeadLetterSink, Partition, Position, Sink
from tests.contracts.sink_adapters import P0, P1, Tables, dead, rows
from tests.model.protocol import initial, successors
from tests.model.wire import Wire
from tests.model.world import DATA, DEAD, DOWN, GONE, NAMES, Claim, State, Step, Variant

PARTS = (P0, P1)
ANCHORS = {part: Position(next_offset=0, start=0) for part in PARTS}
WORLD = Variant("this one", partitions=2, offsets=4)


_WEIGHTS = {"crashes, or gives up": 1, "a late PUT lands in": 2, "fences data of": 3}


@dataclass
class Process:
    """One writer: the real sinks, and the batch whose second half it still holds."""

    sink: Sink
    letters: DeadLetterSink
    positions: Mapping[Partition, Position] = field(default_factory=dict)
    valid: pa.RecordBatch | None = None
    upto: Mapping[Partition, Advance] = field(default_factory=dict)

    def fence_data(self, owned: Iterable[Partition]) -> None:
        """A1, with anchors for all partitions if the table has none."""
        memory = self.sink.remembered()
        new = {p: at for p, at in ANCHORS.items() if p.key not in memory.positions}
        self.positions = self.sink.claim(frozenset(owned), new)

    def fence_dead(self) -> Mapping[Partition, frozenset[int]]:
        """A2, A2a and A4: what it must hold back."""
        known = self.letters.remembered().positions
        new = {p: at for p, at in self.positions.items() if p.key not in known}
        letters = self.letters.claim(frozenset(self.positions), new)
        waiting = {
            p: at.next_offset
            for p, at in self.positions.items()
            if letters[p].next_offset > at.next_offset
        }
        return self.letters.held_offsets(waiting)


@dataclass
class Rehearsal:
    """A walk through the model's states on real tables; both must agree at every step."""

    tables: Tables
    dice: random.Random
    wire: Wire | None = None
    state: State = field(default_factory=lambda: initial(WORLD))
    processes: dict[int, Process] = field(default_factory=dict)
    refused: int = 0

    def create(self, tables: Tables) -> None:
        """Make both tables, which the model takes as there; `tables` may be a way past the wire."""
        tables.sink().remembered()
        tables.dead_letters().remembered()

    def take(self, steps: int) -> None:
        """Walk; raises AssertionError where the tables do something else than the model."""
        for _ in range(steps):
            rivals = self._refused_writers()
            if rivals and self.dice.random() < 0.3:
                self._meet_refusal(self.dice.choice(rivals))
                continue
            step, after = self._choose()
            if step[1] < 0:
                self._land_late(step)
            elif step[0].startswith(GONE):
                self._leave_on_the_wire(step)
            else:
                self._follow(step, after)
                self._note_taken(step[0])
            self.state = after
        self._compare()

    def _choose(self) -> tuple[Step, State]:
        """Any step, but kinds that end a writer's life seldom, or no walk would ever get far."""
        kinds: dict[str, list[tuple[Step, State]]] = {}
        for step, after in successors(WORLD, self.state):
            if self.wire or not (step[1] < 0 or step[0].startswith(GONE)):
                kinds.setdefault(step[0], []).append((step, after))
        weights = [_WEIGHTS.get(kind, 1 if kind.startswith(GONE) else 8) for kind in kinds]
        (kind,) = self.dice.choices(list(kinds), weights)
        return self.dice.choice(kinds[kind])

    def _land_late(self, step: Step) -> None:
        assert self.wire is not None
        self.wire.land(DATA if step[2] == (NAMES[DATA],) else DEAD)

    def _leave_on_the_wire(self, step: Step) -> None:
        """The same step by a writer that does not live to see it land."""
        assert self.wire is not None
        what, w, detail = step
        same = (what.removeprefix(GONE), w, detail)
        lands = next(after for other, after in successors(WORLD, self.state) if other == same)
        fault = self.wire.hold(DEAD if NAMES[DEAD] in what else DATA)
        with pytest.raises(StreamProcessorError):
            self._follow(same, lands)
        fault.wait()
        self.processes.pop(w, None)

    def _note_taken(self, what: str) -> None:
        if self.wire is not None and what.startswith(("fences", "writes")):
            self.wire.taken(DEAD if NAMES[DEAD] in what else DATA)

    def _follow(self, step: Step, after: State) -> None:
        what, w, detail = step
        before, claims = self.state.writers[w], after.writers[w].claims
        if what.startswith("crashes"):
            del self.processes[w]
        elif what == "fences data of":
            process = Process(self.tables.sink(), self.tables.dead_letters())
            process.fence_data(PARTS[p] for p in detail if isinstance(p, int))
            self.processes[w] = process
        elif what == "fences dead letters of":
            held = self.processes[w].fence_dead()
            for part, claim in zip(PARTS, claims, strict=True):
                assert held.get(part, frozenset()) == set(_offsets(claim.held)), step
        elif what == "rechecks data of":
            self.processes[w].sink.recheck()
        elif before.done == WORLD.half:
            self._write_data(self.processes[w])
        else:
            self._first_half(self.processes[w], what, step, before.claims, claims)

    def _first_half(
        self,
        process: Process,
        what: str,
        step: Step,
        before: tuple[Claim, ...],
        after: tuple[Claim, ...],
    ) -> None:
        masks = [change[1] if change[0] >= 0 else 0 for change in step[2]]  # type: ignore[index] # a trace's detail is of any shape
        to_dead = what == "writes dead letters:"
        letters = masks if to_dead else [0, 0]
        valid = [claim.rows for claim in after] if to_dead else masks
        process.upto = {
            part: _advance(old, new.upto if to_dead else new.h_data, good, bad)
            for part, old, new, good, bad in zip(PARTS, before, after, valid, letters, strict=True)
            if old.owned and (new.upto if to_dead else new.h_data) > old.h_data
        }
        process.valid = _batch(rows, valid)
        if to_dead:
            process.letters.write(_batch(dead, letters), process.upto)
        else:
            self._write_data(process)

    def _write_data(self, process: Process) -> None:
        assert process.valid is not None
        process.sink.write(process.valid, process.upto)

    def _refused_writers(self) -> list[tuple[int, int]]:
        """(writer, table) whose next write, or second look, the tables must refuse."""
        found = []
        for w, writer in enumerate(self.state.writers):
            for table in (DATA, DEAD):
                behind = any(claim.moved & table for claim in writer.claims)
                second = writer.done == WORLD.half and table == DATA
                if behind and (writer.done == WORLD.ready or second):
                    found.append((w, table))
            if writer.done == 2 and any(claim.fenced & DATA for claim in writer.claims):
                found.append((w, 0))
        return found

    def _meet_refusal(self, who: tuple[int, int]) -> None:
        w, table = who
        process = self.processes[w]
        part, claim = next(
            (p, c) for p, c in zip(PARTS, self.state.writers[w].claims, strict=True) if c.owned
        )
        at = claim.h_data
        attempts: dict[int, Callable[[], None]] = {
            0: process.sink.recheck,
            DEAD: lambda: process.letters.write(
                dead(part, at), {part: Advance(at, at + 1, dead=1)}
            ),
            DATA: lambda: process.sink.write(rows(part, at), {part: Advance(at, at + 1, rows=1)}),
        }
        with pytest.raises(Fenced):
            attempts[table]()
        self.refused += 1
        del self.processes[w]
        writers = tuple(DOWN if i == w else one for i, one in enumerate(self.state.writers))
        self.state = self.state._replace(writers=writers)

    def _compare(self) -> None:
        """The offsets and rows that the tables have now are the model's."""
        data = self.tables.sink().remembered().positions
        letters = self.tables.dead_letters().remembered().positions
        for part, model in zip(PARTS, self.state.parts, strict=True):
            if part.key in data:
                assert data[part.key].next_offset == model.h_data
            if part.key in letters:  # A2a may have raised it to hD, which means the same
                ahead = max(letters[part.key].next_offset, model.h_data)
                assert ahead == max(model.h_dead, model.h_data)
        assert self.tables.stored() == [
            (number, offset)
            for number, model in enumerate(self.state.parts)
            for offset in _offsets(model.data)
        ]


def _offsets(mask: int) -> list[int]:
    return [offset for offset in range(mask.bit_length()) if mask >> offset & 1]


def _batch(make: Callable[..., pa.RecordBatch], masks: Iterable[int]) -> pa.RecordBatch:
    made = [make(part, *_offsets(mask)) for part, mask in zip(PARTS, masks, strict=True)]
    return pa.Table.from_batches(made).combine_chunks().to_batches()[0] if any(masks) else made[0]


def _advance(old: Claim, upto: int, good: int, bad: int) -> Advance:
    window = (1 << upto) - (1 << old.h_data)
    return Advance(
        old.h_data,
        upto,
        rows=good.bit_count(),
        dead=bad.bit_count(),
        held_back=(old.held & window).bit_count(),
    )
