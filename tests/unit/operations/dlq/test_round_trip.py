"""Break a schema, mend it, replay: the table is that of a right schema. Without servers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests import round_trip
from tests.audit import Tables, audit
from tests.letters import P0, Letters

PARTS = (P0, replace(P0, partition=1))


def streamed(folder: Path, schema: str, values: Sequence[bytes | None]) -> Letters:
    """Two batches for each of two partitions, by this schema."""
    folder.mkdir()
    made = Letters(folder)
    (folder / "orders.yaml").write_text(schema)
    half = len(values) // 2
    for some in (values[:half], values[half:]):
        for index, partition in enumerate(PARTS):
            made.stream(*some[index::2], partition=partition)
    return made


def assert_equal_at_last(right: Letters, mended: Letters) -> None:
    """Rows to the last byte; what is open is what a right schema rejects; both proofs hold."""
    assert round_trip.comparable(mended.rows()) == round_trip.comparable(right.rows())
    replayed = {row["dlq_id"] for row in mended.actions() if row["action"] == "replayed"}
    still = {row["dlq_id"] for row in mended.letters()} - replayed
    assert still == {row["dlq_id"] for row in right.letters()}
    report = mended.verify()
    assert report.clean, report.findings
    audit(Tables("orders", mended.tables.data, mended.tables.dead_letters), {})


@pytest.mark.parametrize("broken", round_trip.BREAKS)
def test_orders_come_back_as_if_nothing_had_been_wrong(tmp_path: Path, broken: str) -> None:
    """This is what a dead letter is kept for."""
    events = round_trip.invented(300)
    right = streamed(tmp_path / "right", round_trip.ORDERS, events)
    mended = streamed(tmp_path / "mended", round_trip.BREAKS[broken](), events)
    assert len(mended.letters()) > len(right.letters())
    (mended.folder / "orders.yaml").write_text(round_trip.ORDERS)
    assert mended.run_cli("dlq", "replay", "--partition", "1", "--yes") == 1  # some stay broken
    assert mended.run_cli("dlq", "replay", "--yes") == 1
    assert_equal_at_last(right, mended)
    before = mended.rows()
    assert mended.run_cli("dlq", "replay", "--yes") == 1  # again: nothing is added
    assert mended.rows() == before


def test_the_whole_corpus_comes_back(tmp_path: Path) -> None:
    """Every kind of value that has a verdict, through the dead letter table and back."""
    events = round_trip.corpus_events()
    right = streamed(tmp_path / "right", round_trip.corpus_schema(), events)
    broken = round_trip.corpus_schema(**{"from": "nowhere"})
    mended = streamed(tmp_path / "mended", broken, events)
    assert mended.rows() == []
    (mended.folder / "orders.yaml").write_text(round_trip.corpus_schema())
    assert mended.run_cli("dlq", "replay", "--yes") == 1
    assert_equal_at_last(right, mended)
