"""Dead letters of a transform, as a person on call meets them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.letters import Letters

TRANSFORM = """\
transform:
  - filter: amount >= 0
  - derive: {n: CAST(order_id AS INTEGER)}
"""
ORDER = b'{"order_id": "%s", "amount": %d, "currency": "EUR", "created_at": "2026-03-01T00:00:00Z"}'


@pytest.fixture
def letters(tmp_path: Path) -> Letters:
    made = Letters(tmp_path, TRANSFORM)
    made.stream(ORDER % (b"7", 1), ORDER % (b"x-8", 1), ORDER % (b"x-9", 2), ORDER % (b"1", -1))
    return made


def test_show_says_which_step_and_which_file_decides(
    letters: Letters, capsys: pytest.CaptureFixture[str]
) -> None:
    """At night one must see at once that it is the transform, not the schema."""
    (first, _) = letters.letters()
    assert letters.run_cli("dlq", "show", first["dlq_id"]) == 0
    told = capsys.readouterr()
    assert "transform.failed" in told.out
    assert "step 2 of transform has no value for this event: derive n" in told.out
    assert "would FAIL" in told.out
    assert "when `transform` in" in told.err
    assert letters.run_cli("dlq", "show", first["fingerprint"]) == 0
    assert "when `transform` in" in capsys.readouterr().err


def test_a_mended_step_lets_them_be_replayed_and_a_filter_leaves_them_open(
    letters: Letters, capsys: pytest.CaptureFixture[str]
) -> None:
    """Replay judges by the steps of today, and everything stays accounted for."""
    letters.path.write_text(
        letters.path.read_text()
        .replace("CAST(order_id", "TRY_CAST(order_id")
        .replace("amount >= 0", "amount BETWEEN 0 AND 1")
    )
    assert letters.run_cli("dlq", "replay", "--yes") == 1
    assert "left out by a filter" in capsys.readouterr().out
    assert [row["order_id"] for row in letters.rows()] == ["7", "x-8"]
    assert [action["action"] for action in letters.actions()] == ["replayed"]
    assert letters.verify().findings == ()
