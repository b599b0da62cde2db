"""A question about some days opens no file of another day."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stream_processor.errors import Unavailable
from stream_processor.operations.assemble import plan_of
from stream_processor.operations.dlq.counts import per_day, per_hour
from stream_processor.operations.dlq.groups import groups_of
from stream_processor.operations.dlq.letters import DeadLetters, open_letters
from stream_processor.operations.dlq.look import GroupView, Rules, look
from stream_processor.operations.dlq.newest import newest
from stream_processor.operations.dlq.selection import Selector
from tests.letters import NOW, Letters, broken

DAY = datetime.fromtimestamp(NOW, UTC).replace(hour=0, minute=0, second=0) + timedelta(days=1)
NOON = DAY + timedelta(hours=12)
SECOND_DAY = Selector(since=DAY, until=DAY + timedelta(hours=23, minutes=59))


@pytest.fixture
def made(tmp_path: Path) -> Letters:
    """One dead letter on each of three days; only the file of the second day is still there."""
    world = Letters(tmp_path)
    for number in range(3):
        world.stream(broken(number))
        world.later(23)
    days = sorted(Path(world.tables.dead_letters).glob("failed_date=*"))
    assert len(days) == 3
    for day in (days[0], days[2]):
        shutil.rmtree(day)
    return world


QUESTIONS: list[Callable[[DeadLetters, Selector], object]] = [
    lambda letters, selector: groups_of(letters, selector, NOON).shown[0].open,
    lambda letters, selector: newest(letters, selector, ["offset"], 5).total,
    lambda letters, selector: sum(per_hour(letters, selector).values()),
    lambda letters, selector: sum(row.count for row in per_day(letters, selector)),
]


@pytest.mark.parametrize("question", QUESTIONS, ids=["groups", "newest", "hours", "days"])
def test_only_the_days_of_the_question_are_read(
    made: Letters, question: Callable[[DeadLetters, Selector], object]
) -> None:
    """A table of a year must answer about this night as fast as one of this night."""
    letters = open_letters(made.tables)
    assert question(letters, SECOND_DAY) == 1
    with pytest.raises(Unavailable):
        question(letters, Selector())


def test_a_group_within_a_time_reads_its_days_only(made: Letters) -> None:
    """`dlq show GROUP --since` is what one types again and again while it goes on."""
    loaded = made.loaded()
    fingerprint = groups_of(open_letters(made.tables), SECOND_DAY, NOON).shown[0].fingerprint
    selector = Selector(ids=(fingerprint[:8],), since=SECOND_DAY.since, until=SECOND_DAY.until)
    rules = Rules(plan_of(loaded.pipeline, loaded.schema_file), NOON)
    view = look(open_letters(made.tables), made.tables, selector, rules)
    assert isinstance(view, GroupView)
    assert [sample["offset"] for sample in view.samples] == [1]
