"""A selector that finds nothing says which part of it was wrong, and what was probably meant."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from stream_processor.operations.assemble import ledger
from stream_processor.operations.dlq.letters import open_letters
from stream_processor.operations.dlq.nearest import nothing_matched
from stream_processor.operations.dlq.selection import Selector
from stream_processor.schema import records
from tests.letters import NOW, Letters, broken, good


def world(folder: Path) -> Letters:
    """Offsets: 0 a row, 1 broken JSON, 2 a bad amount; an hour later 3 a bad amount."""
    made = Letters(folder)
    made.stream(good(0), b"{", broken(2))
    made.stream(broken(3, "12,51"))
    return made


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (Selector(code="field.typ"), "none has --code field.typ; nearest: field.type"),
        (Selector(stage="transform"), "nearest: validate, parse"),
        (Selector(field="amont"), "none has --field amont; nearest: amount"),
        (Selector(topic="orderz"), "none has --topic orderz; nearest: orders"),
        (Selector(partition=7), "none has --partition 7; nearest: 0"),
        (Selector(offsets=(10, 20)), "none has --offsets 10-20; nearest: 3"),
        (Selector(offsets=(0, 0)), "none has --offsets 0-0; nearest: 1"),
        (Selector(since=datetime.fromtimestamp(NOW + 7200, UTC)), "nearest: 2026-09-21T15:13:20Z"),
        (Selector(until=datetime.fromtimestamp(NOW - 10, UTC)), "nearest: 2026-09-21T14:13:20Z"),
        (Selector(status="ignored"), "none has --status ignored; nearest: open"),
        (
            Selector(stage="parse", code="field.type"),
            "1 match without --code field.type",
        ),
        (
            Selector(stage="parse", field="amount", partition=0, status="open"),
            "2 match without --stage parse",
        ),
    ],
)
def test_the_hint_names_the_part_and_the_nearest_values(
    tmp_path: Path, selector: Selector, expected: str
) -> None:
    """At night nobody should have to guess which of five options was misspelt."""
    error = nothing_matched(open_letters(world(tmp_path).tables), selector)
    assert error.exit_code == 1
    assert expected in error.hint


def test_ids_that_are_nearly_right_are_named(tmp_path: Path) -> None:
    """Ids are copied by hand; one wrong digit is the usual mistake, for groups and for records."""
    made = world(tmp_path)
    letter = made.letters()[1]
    letters = open_letters(made.tables)
    for right in (letter["fingerprint"][:8], letter["dlq_id"][:8]):
        wrong = right[:-1] + ("0" if right[-1] != "0" else "1")
        assert right in nothing_matched(letters, Selector(ids=(wrong,))).hint


def test_a_purge_is_told_about_its_own_option(tmp_path: Path) -> None:
    """`--until` in the answer to `purge --before` is an option that nobody gave."""
    before = Selector(until=datetime.fromtimestamp(NOW - 10, UTC))
    error = nothing_matched(open_letters(world(tmp_path).tables), before, until="before")
    assert "--before 2026-09-21T14:13:10Z" in error.message
    assert "--until" not in error.message + error.hint


def test_a_hostile_topic_cannot_speak_through_the_hint(tmp_path: Path) -> None:
    """A selector may be pasted from anywhere, and is repeated in the error."""
    error = nothing_matched(open_letters(world(tmp_path).tables), Selector(topic="\x1b[31mx\n[b]"))
    assert "\x1b" not in error.message + error.hint
    assert "\n" not in error.message


def test_an_empty_table_says_so(tmp_path: Path) -> None:
    """That there are no dead letters at all is good news and no misspelt option."""
    made = Letters(tmp_path)
    made.stream(good(0))
    error = nothing_matched(open_letters(made.tables), Selector(code="field.type"))
    assert "there are no dead letters" in error.message


def test_what_was_purged_is_said_to_be_gone(tmp_path: Path) -> None:
    """An id from a ticket of last year is no typing error."""
    made = world(tmp_path)
    letter = made.letters()[0]
    action = {name: letter.get(name) for name in records.ACTION.names} | {
        "action": "purged",
        "dlq_id": "0123456789abcdef" * 2,
        "at": datetime.fromtimestamp(NOW, UTC),
    }
    rows = pa.Table.from_pylist([action], schema=records.ACTION)
    ledger(made.loaded().pipeline).append(rows)
    error = nothing_matched(open_letters(made.tables), Selector(ids=("01234567",)))
    assert error.hint == "01234567 was purged at 2026-09-21T14:13:20Z"
