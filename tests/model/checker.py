"""Complete breadth-first search of the protocol's states, for the shortest way to break it."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass

from tests.model.protocol import initial, successors
from tests.model.world import Commit, Part, State, Step, Variant, Writer


@dataclass(frozen=True)
class Finding:
    """What a search found: how many states, and if an invariant broke, which and by which steps."""

    states: int
    broken: str | None = None
    trace: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.broken is None:
            return f"holds, {self.states:,} states, complete"
        steps = "".join(f"\n  {n}. {step}" for n, step in enumerate(self.trace, 1))
        return f"{self.broken} broken after {self.states:,} states:{steps}"


def search(v: Variant) -> Finding:
    """Visit every state that can be reached, or stop at the first broken invariant."""
    start = canonical(v, initial(v))
    came_from: dict[State, State | None] = {start: None}
    queue = deque([start])
    while queue:
        state = queue.popleft()
        for _, following in successors(v, state):
            found = canonical(v, following)
            if found in came_from:
                continue
            came_from[found] = state
            broken = broken_invariant(v, found)
            if broken is not None:
                return Finding(len(came_from), broken, _trace(v, came_from, found))
            queue.append(found)
    return Finding(len(came_from))


def canonical(v: Variant, state: State) -> State:
    """One name for all states that differ only in who is called first: writers and partitions."""
    return min(_reordered(state, order) for order in itertools.permutations(range(v.partitions)))


def _reordered(state: State, order: tuple[int, ...]) -> State:
    writers = (
        Writer(w.done, tuple([w.claims[p] for p in order if w.claims])) for w in state.writers
    )
    return State(
        tuple([state.parts[p] for p in order]),
        tuple(sorted(writers)),
        tuple(
            [Commit(c.kind, tuple([c.changes[p] for p in order if c.changes])) for c in state.late]
        ),
    )


def broken_invariant(v: Variant, state: State) -> str | None:
    """The invariant of the protocol (I1 to I4) that this state breaks, if any.

    I2 is judged while no writer stands between its two halves, or writing the data first would be
    called wrong before anything is lost. Since a crash is possible everywhere, that hides nothing.
    """
    between = any(writer.done == v.half for writer in state.writers)
    for part in state.parts:
        name = _broken_by(part)
        if name is not None and (name not in {"I3", "I4"} or name in v.also):
            return name
        if not between and ((1 << part.h_data) - 1) & ~(part.data | part.dead):
            return "I2"
    return None


def _broken_by(part: Part) -> str | None:
    if part.twice:
        return "I1"
    if part.data >> part.h_data or part.dead >> max(part.h_data, part.h_dead):
        return "I3"
    return "I4" if part.usurped else None


def _trace(v: Variant, came_from: dict[State, State | None], end: State) -> tuple[str, ...]:
    """The steps to `end`, told with the same names for writers and partitions throughout."""
    chain: list[State] = []
    at: State | None = end
    while at is not None:
        chain.append(at)
        at = came_from[at]
    told: list[str] = []
    state = initial(v)
    for goal in reversed(chain[:-1]):
        step, state = next(
            (step, after) for step, after in successors(v, state) if canonical(v, after) == goal
        )
        told.append(_sentence(step))
    return tuple(told)


def _sentence(step: Step) -> str:
    what, writer, detail = step
    who = "the store" if writer < 0 else f"writer {'ABC'[writer]}"
    return f"{who}: {what} {detail or ''}".rstrip()
