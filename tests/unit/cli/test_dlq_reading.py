"""The verbs that read dead letters: what a person sees, and where it leads."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from stream_processor.cli import dlq_list, dlq_screens, dlq_stats
from stream_processor.operations.assemble import plan_of
from stream_processor.operations.dlq.counts import per_day
from stream_processor.operations.dlq.groups import groups_of
from stream_processor.operations.dlq.letters import open_letters
from stream_processor.operations.dlq.look import GroupView, RecordView, Rules, look
from stream_processor.operations.dlq.newest import newest
from stream_processor.operations.dlq.selection import Selector
from tests.letters import NOW, Letters, broken, good
from tests.unit.cli.conftest import Golden
from tests.unit.cli.hostile import NASTY, assert_harmless, assert_no_markup

START = datetime.fromtimestamp(NOW, UTC)
LATER = START + timedelta(hours=30)
DEEP = b'{"a":' * 130 + b"1" + b"}" * 130


def world_in(folder: Path) -> Letters:
    """Eight causes in the first hour; a day later one of them again, and another."""
    world = Letters(folder, "max_record_bytes: 1KiB\n")
    world.stream(
        good(0),
        broken(1),
        b'{"order_id": "O-2", "amount": 12.5,, "currency": "EUR"}',
        good(3, amount=None, created_at="yesterday"),
        b'{"order_id": 4, "more": [{}, [], [1.10]]}',
        '{"order_id": "Ä", \xff}'.encode("latin-1"),
        None,
        DEEP,
        b" ",
    )
    world.later(23)
    world.stream(broken(9, "12;50"), b'{"a": "' + b"x" * 2000 + b'"}')
    return world


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Letters:
    """One world for all tests that only read."""
    return world_in(tmp_path_factory.mktemp("dlq"))


def view(made: Letters, *ids: str) -> RecordView | GroupView:
    loaded = made.loaded()
    rules = Rules(plan_of(loaded.pipeline, loaded.schema_file), LATER)
    return look(open_letters(made.tables), made.tables, Selector(ids=ids), rules)


def letter(made: Letters, code: str) -> dict[str, Any]:
    return next(each for each in made.letters() if each["code"] == code)


def test_the_list(made: Letters, capsys: pytest.CaptureFixture[str], golden: Golden) -> None:
    """The first screen of the night: what is broken, how much of it, since when."""
    groups = groups_of(open_letters(made.tables), Selector(status="open"), LATER)
    dlq_list.show_groups(groups, Selector(status="open"), LATER)
    golden("dlq-list", capsys.readouterr().out)


def test_the_list_of_records(
    made: Letters, capsys: pytest.CaptureFixture[str], golden: Golden
) -> None:
    """Sometimes one wants the rows; the newest are what one is after."""
    letters = open_letters(made.tables)
    dlq_list.show_records(newest(letters, Selector(), dlq_list.RECORD_COLUMNS, 6))
    golden("dlq-list-records", capsys.readouterr().out)


def test_the_counts(made: Letters, capsys: pytest.CaptureFixture[str], golden: Golden) -> None:
    """Whether it is getting worse is seen over days."""
    dlq_stats.show(per_day(open_letters(made.tables), Selector()))
    golden("dlq-stats", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("code", "form"),
    [
        ("field.type", "pretty"),
        ("field.null", "pretty"),
        ("field.missing", "pretty"),
        ("field.missing", "raw"),
        ("json.syntax", "pretty"),
        ("json.too_deep", "raw"),
        ("encoding.utf8", "hex"),
        ("record.tombstone", "pretty"),
        ("record.too_large", "pretty"),
    ],
)
def test_a_record(
    made: Letters,
    code: str,
    form: Any,
    capsys: pytest.CaptureFixture[str],
    golden: Golden,
) -> None:
    """The step that failed, the very place in the value, and whether today's schema reads it."""
    found = view(made, letter(made, code)["dlq_id"])
    assert isinstance(found, RecordView)
    payload = dlq_screens.Payload(found.letter["value"], form, 12)
    dlq_screens.show_record(found, payload, "orders.yaml")
    golden(f"dlq-show-{code}-{form}", capsys.readouterr().out)


def test_a_group(made: Letters, capsys: pytest.CaptureFixture[str], golden: Golden) -> None:
    """One cause, when it came, and records to look at."""
    found = view(made, letter(made, "field.type")["fingerprint"][:8])
    assert isinstance(found, GroupView)
    dlq_screens.show_group(found)
    golden("dlq-show-group", capsys.readouterr().out)


Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def say(made: Letters, capsys: pytest.CaptureFixture[str]) -> Say:
    """One line of `dlq` on the world that is only read; its exit code and what it said."""
    return said_by(made, capsys)


def said_by(made: Letters, capsys: pytest.CaptureFixture[str]) -> Say:
    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = made.run_cli("dlq", *arguments)
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_each_screen_leads_to_the_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the first broken event to the replay nobody has to look anything up."""
    made = world_in(tmp_path)
    say = said_by(made, capsys)
    group = letter(made, "field.type")["fingerprint"][:8]
    code, _, err = say("list", "--code", "field.type")
    assert code == 0
    assert f"dlq show {group}" in err
    code, _, err = say("show", group)
    record = made.letters()[-2]["dlq_id"][:8]
    assert (f"dlq show {record}" in err, f"dlq replay {group} --dry-run" in err) == (True, True)
    code, out, err = say("show", record)
    assert "would FAIL: field.type at amount" in out
    assert f"dlq show {record}" in err
    made.write_schema(amount="string")
    code, out, err = say("show", record)
    assert "would SUCCEED" in out
    assert f"dlq replay {group} --dry-run" in err


def test_what_no_schema_reads_leads_to_its_producer(made: Letters, say: Say) -> None:
    """Whoever mends a schema because of broken JSON works for nothing."""
    syntax = letter(made, "json.syntax")
    for name in ("dlq_id", "fingerprint"):
        _, _, err = say("show", syntax[name][:8])
        assert f"dlq ignore {syntax['fingerprint'][:8]}" in err
        assert "producer" in err


def test_a_value_that_was_cut_is_not_judged(made: Letters, say: Say) -> None:
    """The rest of it decides, and is not there."""
    found = letter(made, "record.too_large")
    _, out, _ = say("show", found["dlq_id"], "--json")
    assert json.loads(out)["now"]["outcome"] == "unknown"


def test_json_says_the_same(made: Letters, say: Say) -> None:
    """Scripts and tickets take it from here."""
    first = letter(made, "field.type")
    listed = json.loads(say("list", "--json")[1])
    assert listed["records"] == {"open": 10}
    assert len(listed["groups"]) == 9
    rows = json.loads(say("list", "--records", "--limit", "2", "--json")[1])
    assert (rows["total"], [row["offset"] for row in rows["records"]]) == (10, [10, 9])
    shown = json.loads(say("show", first["dlq_id"][:8], "--json")[1])
    assert shown["record"]["offset"] == 1
    assert shown["ladder"][2] == {"step": "validate", "state": "failed"}
    assert shown["now"]["code"] == "field.type"
    group = json.loads(say("show", first["fingerprint"], "--json")[1])
    assert group["group"]["open"] == 2
    assert [each["count"] for each in group["hours"]] == [1, 1]
    stats = json.loads(say("stats", "--json")[1])
    assert stats["total"] == 10


def test_what_means_too_much_or_nothing_says_so(made: Letters, say: Say) -> None:
    """To show any one of several would look like an answer."""
    code, _, err = say("show", "--stage", "decode")
    assert code == 1
    assert "they are neither one record nor one group" in err
    code, _, err = say("list", "--field", "amuont")
    assert code == 1
    assert "nearest: amount" in err
    code, _, err = say("stats", "--topic", "other")
    assert code == 1
    assert say("show", "12")[0] == 2
    assert say("list", "--offsets", "5-3")[0] == 2


def test_an_event_that_is_pasted_as_it_is_shown_leads_to_its_options(
    made: Letters, say: Say
) -> None:
    """Every screen writes `orders[0]@2`; whoever pastes that must not have to guess."""
    code, _, err = say("show", "orders[0]@2")
    assert code == 2
    assert "with --topic orders --partition 0 --offsets 2" in err
    assert say("show", "--topic", "orders", "--partition", "0", "--offsets", "2")[0] == 0


def test_an_id_that_resembles_none_is_given_no_stranger(say: Say) -> None:
    """A group that is named as nearest, and has nothing to do with it, leads astray."""
    _, _, err = say("show", "abcdef0123")
    assert "nearest" not in err
    assert "`dlq list --status any` shows all groups" in err


def test_no_dead_letters_is_good_news(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1 would page somebody."""
    world = Letters(tmp_path)
    world.stream(good(0))
    say = said_by(world, capsys)
    assert say("list") == (0, "no open dead letters\n", "")
    assert say("list", "--records") == (0, "no open dead letters\n", "")
    assert say("stats") == (0, "no dead letters\n", "")
    assert say("list", "--code", "field.type")[0] == 1


def test_masked_values_stay_hidden(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever masks a field must not find it on the screen of the person on call."""
    world = Letters(tmp_path, "dlq: {preview_mask: [order_id]}\n")
    world.stream(broken(4711, 1.234), b'{"order_id": "O-4711", ')
    for each in world.letters():
        for form in (["--as", "pretty"], ["--as", "raw"], ["--as", "hex"], ["--json"]):
            world.run_cli("dlq", "show", each["dlq_id"], *form)
            out, err = capsys.readouterr()
            assert "4711" not in out + err
            assert b"4711".hex(" ") not in out


def test_strangers_in_every_screen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Keys, values, names of fields and notes come from people whom nobody knows."""
    world = Letters(tmp_path, "")
    nasty = NASTY.replace("\ud800", "")
    world.stream(good(1, amount=nasty), nasty.encode("utf-8", "replace"), good(2, currency=[nasty]))
    for line in (["list"], ["list", "--records"], ["stats"]):
        world.run_cli("dlq", *line)
    for each in world.letters():
        for form in ("pretty", "raw", "hex"):
            world.run_cli("dlq", "show", each["dlq_id"], "--as", form)
        world.run_cli("dlq", "show", each["fingerprint"])
    world.run_cli("dlq", "ignore", "--topic", "orders", "--note", nasty, "--yes")
    world.run_cli("dlq", "show", world.letters()[0]["dlq_id"])
    out, err = capsys.readouterr()
    assert_harmless(out + err)
    assert_no_markup(out + err)
    assert out.count("evil") > 10
