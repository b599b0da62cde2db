"""Groups say what broke, since when, and what has been done about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from stream_processor.operations.assemble import ledger
from stream_processor.operations.dlq.groups import Group, Groups, groups_of
from stream_processor.operations.dlq.letters import open_letters
from stream_processor.operations.dlq.selection import Selector
from stream_processor.schema import records
from tests.letters import NOW, Letters, broken, good

HOUR = 3600.0
START = datetime.fromtimestamp(NOW, UTC)


def act(made: Letters, action: str, at: float, *offsets: int) -> None:
    """What a person has done to these dead letters, so many seconds after the start."""
    rows = [
        {name: letter.get(name) for name in records.ACTION.names}
        | {
            "action": action,
            "action_id": f"{at}-{letter['offset']}",
            "at": START + timedelta(seconds=at),
        }
        for letter in made.letters()
        if letter["offset"] in offsets
    ]
    ledger(made.loaded().pipeline).append(pa.Table.from_pylist(rows, schema=records.ACTION))


def groups(made: Letters, selector: Selector | None = None, *, hours: float = 2) -> Groups:
    now = START + timedelta(hours=hours)
    return groups_of(open_letters(made.tables), selector or Selector(), now)


def only(made: Letters, *, hours: float = 2) -> Group:
    (group,) = groups(made, hours=hours).shown
    return group


@pytest.fixture
def made(tmp_path: Path) -> Letters:
    """Offsets 0 and 1 with a bad amount; an hour later 2, of the same kind."""
    world = Letters(tmp_path)
    world.stream(broken(0), broken(1, "x"))
    world.stream(broken(2, "12.50.1"))
    return world


def test_one_cause_is_one_group_with_its_times_and_counts(made: Letters) -> None:
    """351 dead letters are one thing to mend, and the list must say so."""
    act(made, "ignored", 60.0, 1)
    group = only(made, hours=24.5)
    assert (group.stage, group.code, group.field_path) == ("validate", "field.type", "amount")
    assert group.counts == {"open": 2, "ignored": 1}
    assert (group.open, group.recent) == (2, 1)
    assert group.first_seen == START
    assert group.last_seen == START + timedelta(hours=1)


def test_groups_come_newest_first(made: Letters) -> None:
    """What began to fail a minute ago is why the person is looking."""
    made.stream(b"{")
    codes = [group.code for group in groups(made, hours=3).shown]
    assert codes == ["json.syntax", "field.type"]
    some = groups_of(open_letters(made.tables), Selector(), START, limit=1)
    assert [group.code for group in some.shown] == ["json.syntax"]
    assert some.matching == 2


@pytest.mark.parametrize(
    ("actions", "hours", "state"),
    [
        ([], 2, "new"),
        ([], 24, "new"),
        ([], 24.1, "ongoing"),
        ([("failed_again", 2.0, (0,))], 2, "ongoing"),
        ([("ignored", 2.0, (0,)), ("reopened", 3.0, (0,))], 2, "ongoing"),
        ([("ignored", 2 * HOUR, (0, 1, 2))], 2, "ignored"),
        ([("replayed", 2 * HOUR, (0, 1)), ("ignored", 3 * HOUR, (2,))], 2, "ignored"),
        ([("ignored", 2 * HOUR, (0, 1)), ("replayed", 3 * HOUR, (2,))], 2, "replayed"),
        ([("replayed", 0.5 * HOUR, (0, 1))], 2, "regressed"),
        ([("ignored", 0.5 * HOUR, (0,))], 2, "regressed"),
        ([("replayed", 2 * HOUR, (0, 1))], 3, "ongoing"),
        ([("ignored", 0.5 * HOUR, (0,)), ("replayed", 2 * HOUR, (1,))], 3, "ongoing"),
        ([("ignored", 0.5 * HOUR, (0, 1)), ("failed_again", 2 * HOUR, (2,))], 3, "regressed"),
    ],
)
def test_the_state_follows_from_what_came_and_what_was_done(
    made: Letters,
    actions: list[tuple[str, float, tuple[int, ...]]],
    hours: float,
    state: str,
) -> None:
    """`regressed` is the alarm: it was mended or waved through, and it is there again."""
    for action, at, offsets in actions:
        act(made, action, at, *offsets)
    assert only(made, hours=hours).state == state


def test_a_status_chooses_groups_and_not_their_rows(made: Letters) -> None:
    """A group with open records is regressed because of others that are not open."""
    made.stream(b"{")
    act(made, "replayed", 0.5 * HOUR, 0, 1)
    act(made, "ignored", 3 * HOUR, 3)
    found = groups(made, Selector(status="open"))
    assert [group.state for group in found.shown] == ["regressed"]
    assert (found.matching, found.hidden) == (1, 1)
    assert found.counts == {"open": 1, "replayed": 2, "ignored": 1}


def test_rows_of_an_older_fingerprint_keep_their_group(made: Letters) -> None:
    """A new way of grouping must not tear what people know by its id, nor lump it together."""
    letter = made.letters()[0]
    old = letter | {
        "fingerprint_version": 0,
        "dlq_id": "0" * 32,
        "offset": 77,
        "fingerprint": "f" * 32,
    }
    same = letter | {"fingerprint_version": 0, "dlq_id": "1" * 32, "offset": 78}
    table = pa.Table.from_pylist([old, same], schema=records.DEAD_LETTER)
    write_deltalake(made.tables.dead_letters, table, mode="append")
    found = {
        (group.fingerprint, group.fingerprint_version): group.open for group in groups(made).shown
    }
    assert found == {
        (letter["fingerprint"], 1): 3,
        (letter["fingerprint"], 0): 1,
        ("f" * 32, 0): 1,
    }


def test_an_empty_table_has_no_groups(tmp_path: Path) -> None:
    """A pipeline without a bad event is the normal case."""
    world = Letters(tmp_path)
    world.stream(good(0))
    assert groups(world) == Groups((), 0, 0, {})
