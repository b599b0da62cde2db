"""Dead letters are found by what they are, and their status is their newest action."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from stream_processor.errors import ConfigurationError
from stream_processor.operations.assemble import ledger
from stream_processor.operations.dlq.letters import open_letters
from stream_processor.operations.dlq.selection import Selector
from stream_processor.schema import records
from tests.letters import NOW, Letters, broken, good


def world(folder: Path) -> Letters:
    """Offsets: 0 a row, 1 broken JSON, 2 a bad amount; an hour later 3 a bad amount."""
    made = Letters(folder)
    made.stream(good(0), b"{", broken(2))
    made.stream(broken(3, "12,51"))
    return made


def offsets(made: Letters, selector: Selector) -> list[int]:
    letters = open_letters(made.tables)
    batches = list(letters.read(selector, ["offset"]))
    return sorted(offset for batch in batches for offset in batch["offset"].to_pylist())


def act(made: Letters, offset: int, action: str, at: float) -> None:
    letter = next(each for each in made.letters() if each["offset"] == offset)
    row = {name: letter.get(name) for name in records.ACTION.names} | {
        "action": action,
        "action_id": f"{action}-{at}",
        "at": datetime.fromtimestamp(at, UTC),
    }
    ledger(made.loaded().pipeline).append(pa.Table.from_pylist([row], schema=records.ACTION))


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (Selector(), [1, 2, 3]),
        (Selector(stage="parse"), [1]),
        (Selector(code="field.type", field="amount"), [2, 3]),
        (Selector(offsets=(2, 2)), [2]),
        (Selector(partition=1), []),
        (Selector(topic="orders' or '1'='1"), []),
        (Selector(since=datetime.fromtimestamp(NOW + 1, UTC)), [3]),
        (Selector(until=datetime.fromtimestamp(NOW + 1, UTC)), [1, 2]),
    ],
)
def test_a_selector_means_what_it_says(
    tmp_path: Path, selector: Selector, expected: list[int]
) -> None:
    """All verbs act on what the selector finds: too much would move records nobody named."""
    assert offsets(world(tmp_path), selector) == expected


def test_the_first_digits_of_an_id_are_enough(tmp_path: Path) -> None:
    """A person copies eight digits from a list, of a record or of a group."""
    made = world(tmp_path)
    letter = made.letters()[1]
    assert offsets(made, Selector(ids=(letter["dlq_id"][:8],))) == [2]
    assert offsets(made, Selector(ids=(letter["fingerprint"][:8],))) == [2, 3]


@pytest.mark.parametrize("text", ["", "abc", "abcg", "ABCD", "%%%%", "a" * 33])
def test_what_can_be_no_id_is_refused(text: str) -> None:
    """A typing error that finds nothing would look like a clean table."""
    with pytest.raises(ConfigurationError, match="no id"):
        Selector(ids=(text,))


def test_the_newest_action_is_the_status(tmp_path: Path) -> None:
    """Replay, ignore and the counters of open records all trust it."""
    made = world(tmp_path)
    act(made, 2, "failed_again", 10.0)
    act(made, 3, "reopened", 30.0)
    act(made, 3, "ignored", 20.0)
    act(made, 1, "ignored", 20.0)
    assert offsets(made, Selector(status="open")) == [2, 3]
    assert offsets(made, Selector(status="ignored")) == [1]
    assert made.verify().clean


def test_of_many_actions_the_newest_of_each_record_counts(tmp_path: Path) -> None:
    """A ledger grows for years: most records have one row, some have several, in any order."""
    made = world(tmp_path)
    for offset, action, at in (
        (1, "ignored", 30.0),
        (2, "ignored", 30.0),
        (2, "reopened", 10.0),
        (3, "failed_again", 20.0),
        (3, "replayed", 20.0),
    ):
        act(made, offset, action, at)
    for status, expected in (("ignored", [1, 2]), ("replayed", [3]), ("open", [])):
        assert offsets(made, Selector(status=status)) == expected
