"""The commit protocol holds in every state that the world can reach; each weaker one does not.

The world: docs/explanation/commit-protocol.md, "The machine check". Counts are printed with `-rP`.
"""

from __future__ import annotations

import pytest

from tests.model.checker import search
from tests.model.world import DATA, DEAD, Variant

FENCES = (("fence", DATA), ("fence", DEAD))
LOADS = (("load", DATA), ("load", DEAD))
ONLY_ROWS = frozenset[str]()
"""A weaker variant is judged by what it does to rows (I1, I2), not by the lemmas I3 and I4."""

OURS = Variant("dead letters first, membership, both fences, the data table's epoch checked again")

HOLDS = [
    pytest.param(OURS.sized(1, 3), id="ours-1x3"),
    pytest.param(OURS.sized(2, 1), id="ours-2x1"),
    *(
        pytest.param(Variant("both epochs", claim=(*FENCES, *again)).sized(*size), id=name)
        for name, again, size in [
            (
                "data-then-dead-letters-checked-again-1x2",
                (("recheck", DATA), ("recheck", DEAD)),
                (1, 2),
            ),
            (
                "dead-letters-then-data-checked-again-1x2",
                (("recheck", DEAD), ("recheck", DATA)),
                (1, 2),
            ),
            (
                "data-then-dead-letters-checked-again-2x1",
                (("recheck", DATA), ("recheck", DEAD)),
                (2, 1),
            ),
        ]
    ),
    *(
        pytest.param(
            Variant(
                "one schema for ever, filter by height, no fence",
                claim=LOADS,
                hold_back="below h_dead",
                verdicts=bad,
                also=frozenset({"I3"}),
            ).sized(*size),
            id=f"one-schema-for-ever-{size[0]}x{size[1]}-bad-{bad:b}",
        )
        for size, bad in [((1, 3), 0b001), ((1, 3), 0b010), ((1, 3), 0b101), ((2, 1), 1)]
    ),
]

FAILS = [
    (Variant("the data first", first=DATA, also=ONLY_ROWS), "I2"),
    (Variant("the data first, no fence", first=DATA, claim=LOADS, also=ONLY_ROWS), "I2"),
    (Variant("filter by height", hold_back="below h_dead", also=ONLY_ROWS), "I1"),
    (
        Variant(
            "filter by height, no fence", claim=LOADS, hold_back="below h_dead", also=ONLY_ROWS
        ),
        "I1",
    ),
    (Variant("membership without fences", claim=LOADS, also=ONLY_ROWS), "I1"),
    (Variant("fences, nothing checked again", claim=FENCES, also=ONLY_ROWS), "I1"),
    (
        Variant(
            "only the dead letter epoch checked again",
            claim=(*FENCES, ("recheck", DEAD)),
            also=ONLY_ROWS,
        ),
        "I1",
    ),
    (Variant("only the data table fenced", claim=FENCES[:1], also=ONLY_ROWS), "I1"),
    (
        Variant(
            "a commit names only the partitions of its batch",
            partitions=2,
            names="batch",
            also=ONLY_ROWS,
        ),
        "I1",
    ),
    (Variant("a held handle is refreshed", refresh="silent", also=ONLY_ROWS), "I1"),
    (
        Variant("a held handle is refreshed, two partitions", 2, refresh="silent", also=ONLY_ROWS),
        "I1",
    ),
]


@pytest.mark.parametrize("variant", HOLDS)
def test_no_reachable_state_breaks_an_invariant(variant: Variant) -> None:
    """Exactly once rests on this: whatever crashes, lingers or comes late, each is there once."""
    finding = search(variant)
    print(f"{variant.name}, {variant.partitions} x {variant.offsets}: {finding}")  # noqa: T201 - the counts are evidence, shown by -rP
    assert finding.broken is None, str(finding)
    assert finding.states > 50


@pytest.mark.parametrize(
    ("variant", "invariant"), FAILS, ids=lambda value: getattr(value, "name", "")
)
def test_each_part_of_the_protocol_is_needed(variant: Variant, invariant: str) -> None:
    """A rule whose absence breaks nothing would be a rule that the model does not understand."""
    finding = search(variant)
    print(f"{variant.name}: {finding}")  # noqa: T201 - the counts are evidence, shown by -rP
    assert finding.broken == invariant, str(finding)
    assert finding.trace


def test_the_shortest_way_to_lose_an_offset_is_told_step_by_step() -> None:
    """A trace that a person cannot read proves nothing to that person."""
    finding = search(Variant("the data first", first=DATA, also=ONLY_ROWS))
    assert finding.trace == (
        "writer A: fences data of (0,)",
        "writer A: fences dead letters of (0,)",
        "writer A: rechecks data of (0,)",
        "writer A: writes data: ((1, 0),)",
        "writer A: crashes, or gives up",
    )
