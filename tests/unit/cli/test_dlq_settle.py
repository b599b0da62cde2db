"""Ignore and reopen change what a person named, say so first, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.letters import Letters, broken, good


@pytest.fixture
def made(tmp_path: Path) -> Letters:
    """Offsets 1 and 2 with a bad amount, 3 broken JSON."""
    world = Letters(tmp_path)
    world.stream(good(0), broken(1), broken(2, "x"), b"{")
    return world


def said(made: Letters, capsys: pytest.CaptureFixture[str], *line: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = made.run_cli("dlq", *line)
    out, err = capsys.readouterr()
    return code, out, err


def test_the_plan_changes_nothing(made: Letters, capsys: pytest.CaptureFixture[str]) -> None:
    """A selector may mean more than its author thought."""
    code, out, err = said(made, capsys, "ignore", "--code", "field.type")
    assert (code, made.actions()) == (0, [])
    assert out == "2 dead letters in 1 group to be ignored\nnothing was changed\n"
    assert "dlq ignore --code field.type" in err
    assert "--yes" in err


def test_each_record_gets_its_row(made: Letters, capsys: pytest.CaptureFixture[str]) -> None:
    """The ledger must say of every single record who decided what, when and why."""
    code, out, _ = said(
        made, capsys, "ignore", "--code", "field.type", "--note", "test data", "--yes"
    )
    rows = made.actions()
    assert code == 0
    assert "2 dead letters ignored" in out
    assert sorted((row["offset"], row["action"], row["note"]) for row in rows) == [
        (1, "ignored", "test data"),
        (2, "ignored", "test data"),
    ]
    assert len({row["action_id"] for row in rows}) == 2
    assert len({row["run_id"] for row in rows}) == 1
    assert all(row["actor"] and row["target"] is None for row in rows)
    assert {row["dlq_id"] for row in rows} == {each["dlq_id"] for each in made.letters()[:2]}


def test_reopen_undoes_ignore_and_only_that(
    made: Letters, capsys: pytest.CaptureFixture[str]
) -> None:
    """What nobody ignored must get no row; a second time there is nothing left to do."""
    said(made, capsys, "ignore", "--offsets", "1", "--yes")
    code, out, _ = said(made, capsys, "reopen", "--stage", "validate", "--status", "any", "--yes")
    assert code == 0
    assert "1 stay as they are: open" in out
    assert [(row["offset"], row["action"]) for row in made.actions()] == [
        (1, "ignored"),
        (1, "reopened"),
    ]
    code, _, err = said(made, capsys, "reopen", "--offsets", "1", "--yes")
    assert code == 1
    assert "none has --status ignored; nearest: open" in err
    assert len(made.actions()) == 2
    assert made.verify().clean


def test_ignore_takes_open_ones_only(made: Letters, capsys: pytest.CaptureFixture[str]) -> None:
    """Said twice, a record keeps its first row, and the list keeps its times."""
    said(made, capsys, "ignore", "--offsets", "1", "--yes")
    said(made, capsys, "ignore", "--code", "field.type", "--status", "any", "--yes")
    assert sorted(row["offset"] for row in made.actions()) == [1, 2]
    code, out, _ = said(made, capsys, "ignore", "--code", "field.type", "--status", "any", "--yes")
    assert code == 0
    assert "0 dead letters" in out
    assert len(made.actions()) == 2


@pytest.mark.parametrize("verb", ["ignore", "reopen"])
def test_everything_at_once_must_be_said(
    made: Letters, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    """A forgotten id must not set a whole night's evidence aside."""
    code, _, err = said(made, capsys, verb, "--yes")
    assert code == 2
    assert "which dead letters" in err
    assert made.actions() == []
