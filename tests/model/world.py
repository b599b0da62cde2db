"""The world of the model: what the tables hold, what each process believes, what is on the wire."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

DATA, DEAD = 1, 2  # the two tables; also bits of `moved` and `fenced`
NAMES = {DATA: "data", DEAD: "dead letters"}
GONE = "is gone while its PUT is on the wire: "
ROWS, FENCE, USURPING = 0, 1, 2  # kinds of commits


class Part(NamedTuple):
    """What both tables hold of one partition; the rows are bit masks over its offsets."""

    h_data: int = 0
    h_dead: int = 0
    data: int = 0
    dead: int = 0
    twice: int = 0  # offsets that were added though one of the tables had them
    usurped: int = 0  # 1 once a writer has written it after another's fence


class Claim(NamedTuple):
    """What one writer believes about one partition; all zero for one that it does not own."""

    owned: int = 0
    h_data: int = 0
    h_dead: int = 0
    held: int = 0  # K: offsets that the dead letter table had at our fence
    moved: int = 0  # tables in which another commit has named it since our base
    fenced: int = 0  # tables in which another writer has fenced it since our fence
    upto: int = 0  # of the batch in hand
    rows: int = 0  # the second half of the batch in hand


class Change(NamedTuple):
    """What one commit does to one partition; a partition that is not named has h = -1."""

    h: int = -1
    rows: int = 0


class Commit(NamedTuple):
    """One entry of a table's log, or a PUT of it that is still on the wire."""

    kind: int = -1
    changes: tuple[Change, ...] = ()


class Writer(NamedTuple):
    """One process; `done` counts its steps of `Variant.claim`, -1 when it is down."""

    done: int = -1
    claims: tuple[Claim, ...] = ()


DOWN, NOTHING = Writer(), Commit()


class State(NamedTuple):
    """The world: the tables, the processes, and what is still on the wire to each table."""

    parts: tuple[Part, ...]
    writers: tuple[Writer, ...]
    late: tuple[Commit, ...]


Step = tuple[str, int, tuple[object, ...]]  # (what, which writer or -1, detail), for traces
Steps = Iterator[tuple[Step, State]]


@dataclass(frozen=True)
class Variant:
    """One way to write the protocol down. The defaults are the one that we use."""

    name: str
    partitions: int = 1
    offsets: int = 1
    writers: int = 2
    claim: tuple[tuple[str, int], ...] = (("fence", DATA), ("fence", DEAD), ("recheck", DATA))
    first: int = DEAD
    hold_back: str = "membership"  # or "below h_dead"
    names: str = "owned"  # or "batch"
    verdicts: int | None = None  # every reader judges alike: the mask of the bad records
    refresh: str = "never"  # or "silent": a held handle may jump to the head
    also: frozenset[str] = frozenset({"I3", "I4"})  # checked besides I1 and I2

    @property
    def ready(self) -> int:
        """Steps done when a writer may read and write."""
        return len(self.claim)

    @property
    def half(self) -> int:
        """Steps done when the first of the two tables has the batch."""
        return len(self.claim) + 1

    def sized(self, partitions: int, offsets: int) -> Variant:
        """The same rules on a larger world."""
        return replace(self, partitions=partitions, offsets=offsets)
