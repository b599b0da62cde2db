"""The commit protocol holds in every state that the world can reach; each weaker one does not.

The names are those of the table in docs/explanation/commit-protocol.md, a.7, which a test compares
with what the searches find. `-rP` shows the counts and the traces.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.model.checker import Finding, search
from tests.model.world import DATA, DEAD, Variant

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "commit-protocol.md"

FENCES = (("fence", DATA), ("fence", DEAD))
LOADS = (("load", DATA), ("load", DEAD))
OURS = Variant("this one")
BOTH_LOOKED_AT = Variant(
    "A3 looks at both tables", claim=(*FENCES, ("recheck", DATA), ("recheck", DEAD))
)
OTHER_ORDER = Variant(
    "A3 looks at both tables, Q first", claim=(*FENCES, ("recheck", DEAD), ("recheck", DATA))
)
ONE_SCHEMA = Variant(
    "one schema for ever, no fences, hold back everything below hQ",
    claim=LOADS,
    hold_back="below h_dead",
    verdicts=0b010,
    also=frozenset({"I3"}),
)

HOLDS = [
    OURS.sized(1, 3),
    OURS.sized(2, 1),
    replace(OURS, offsets=2, writers=3),
    BOTH_LOOKED_AT.sized(1, 2),
    BOTH_LOOKED_AT.sized(2, 1),
    OTHER_ORDER.sized(1, 2),
    ONE_SCHEMA.sized(1, 3),
    replace(ONE_SCHEMA, offsets=3, verdicts=0b101),
    replace(ONE_SCHEMA, partitions=2, verdicts=0b1),
]

FAILS = [
    (Variant("data first, then dead letters", first=DATA), "I2"),
    (Variant("data first, and no fences", first=DATA, claim=LOADS), "I2"),
    (
        Variant("hold back what is below hQ, instead of what Q holds", hold_back="below h_dead"),
        "I1",
    ),
    (Variant("the same, and no fences", hold_back="below h_dead", claim=LOADS), "I1"),
    (Variant("K, but no fences", claim=LOADS), "I1"),
    (Variant("only D is fenced", claim=FENCES[:1]), "I1"),
    (Variant("fences, but no A3", claim=FENCES), "I1"),
    (Variant("A3 looks at Q only", claim=(*FENCES, ("recheck", DEAD))), "I1"),
    (
        Variant(
            "a commit names only the partitions of its batch (no B0)", partitions=2, names="batch"
        ),
        "I1",
    ),
    (Variant("a held handle is refreshed in place", refresh="silent"), "I1"),
    (
        Variant("the same, with two partitions", partitions=2, refresh="silent"),
        "I1",
    ),
]


def size(variant: Variant) -> str:
    return f"{variant.writers} x {variant.partitions} x {variant.offsets}"


def told(variant: Variant) -> Finding:
    finding = search(variant)
    print(f"{variant.name}, {size(variant)}: {finding}")
    return finding


def result_on_the_page(variant: Variant) -> str | None:
    """The last cell of the row of the page's table that speaks of this variant, if there is one."""
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip().replace("*", "") for cell in line.strip("|").split("|")]
        if len(cells) == 3 and cells[0] == variant.name and cells[1].startswith(size(variant)):
            return cells[2]
    return None


@pytest.mark.parametrize("variant", HOLDS, ids=lambda v: f"{v.name}, {size(v)}, bad {v.verdicts}")
def test_no_reachable_state_breaks_an_invariant(variant: Variant) -> None:
    """Exactly once rests on this: whatever crashes, lingers or comes late, each is there once."""
    finding = told(variant)
    assert finding.broken is None, str(finding)
    page = result_on_the_page(variant)
    assert page is None or f"{finding.states:,} states" in page


@pytest.mark.parametrize(
    ("variant", "invariant"), FAILS, ids=lambda value: getattr(value, "name", "")
)
def test_each_part_of_the_protocol_is_needed(variant: Variant, invariant: str) -> None:
    """A rule whose absence breaks nothing would be a rule that the model does not understand."""
    finding = told(replace(variant, also=frozenset()))  # judged by its rows, not by the lemmas
    assert finding.broken == invariant, str(finding)
    page = result_on_the_page(variant)
    assert page is None or f"{len(finding.trace)} steps" in page


def test_the_page_and_the_searches_speak_of_the_same_protocols() -> None:
    """The text and its proof must not drift apart."""
    rows = re.findall(
        r"^\| (.+?) \| \d x \d x \d.*? \| .*(?:holds|offset)", PAGE.read_text(), re.MULTILINE
    )
    on_the_page = {name.replace("*", "") for name in rows}
    searched = {variant.name for variant in HOLDS} | {variant.name for variant, _ in FAILS}
    assert len(on_the_page) >= 10
    assert on_the_page <= searched


def test_the_shortest_way_to_lose_an_offset_is_told_step_by_step() -> None:
    """A trace that a person cannot read proves nothing to that person."""
    finding = search(Variant("data first, then dead letters", first=DATA, also=frozenset()))
    assert finding.trace == (
        "writer A: fences data of (0,)",
        "writer A: fences dead letters of (0,)",
        "writer A: rechecks data of (0,)",
        "writer A: writes data: ((1, 0),)",
        "writer A: crashes, or gives up",
    )
