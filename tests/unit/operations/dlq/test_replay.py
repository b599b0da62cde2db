"""A replay writes each dead letter that today's rules take, once, and says what it did."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from deltalake import DeltaTable, Field

from stream_processor.errors import ConfigurationError, StreamProcessorError, TableRewound
from stream_processor.operations.dlq.replay_patch import parse_patch
from stream_processor.operations.dlq.replay_request import Topic
from stream_processor.operations.dlq.selection import Selector
from stream_processor.ports import Partition
from tests.replays import ANY, OPEN, RIGHT, Replays, event


def world(folder: Path, pipeline: str = "") -> Replays:
    """Offsets: 0 a row, 1 and 2 dead until the schema is mended, 3 no JSON, 4 a tombstone."""
    made = Replays(folder, pipeline)
    made.stream(event(0), event(1, "7 EUR"), event(2, "8 EUR"), b"{", None)
    return made


def rows_max(folder: Path, count: int) -> Replays:
    """The same with steps of so many records."""
    made = world(folder)
    text = made.path.read_text().replace(
        "/lake/orders'", f"/lake/orders', commit: {{max_records: {count}}}"
    )
    made.path.write_text(text)
    return made


def versions(made: Replays) -> int:
    return DeltaTable(made.tables.data).version()


def test_what_succeeds_becomes_a_row_and_the_rest_stays_open(tmp_path: Path) -> None:
    """The whole purpose: mend the schema, replay, and only what is truly broken is left."""
    made = world(tmp_path)
    made.mend()
    report = made.replay()
    assert [row["_kafka_offset"] for row in made.rows()] == [0, 1, 2]
    assert made.statuses() == {
        1: "replayed",
        2: "replayed",
        3: "failed_again",
        4: "failed_again",
    }
    assert (report.tally.replayed, report.tally.failed, report.clean) == (2, 2, False)
    codes = {action["offset"]: action["code"] for action in made.actions()}
    assert codes == {1: None, 2: None, 3: "json.syntax", 4: "record.tombstone"}
    made.prove()


def test_the_ledger_says_who_when_where_and_by_which_rules(tmp_path: Path) -> None:
    """Whoever asks in a year how this row came into the table finds it there."""
    made = world(tmp_path)
    made.mend()
    report = made.replay(Selector(offsets=(1, 1)))
    [action] = made.actions()
    letter = made.letters()[0]
    assert action["dlq_id"] == letter["dlq_id"]
    assert action["run_id"] == report.run_id
    assert action["actor"] == "tester@here"
    assert action["target"] == made.tables.data
    assert action["target_version"] == report.versions[0] == report.versions[1]
    assert action["note"].startswith("schema 1 (")
    assert DeltaTable(made.tables.ledger).history(1)[0]["stream_processor"].count(report.run_id)


def test_a_replay_again_adds_nothing(tmp_path: Path) -> None:
    """By whatever selector: membership decides, not the ledger and not luck."""
    made = world(tmp_path)
    made.mend()
    made.replay()
    before = made.table()
    for selector in (OPEN, ANY, Selector(status="replayed")):
        report = made.replay(selector)
        assert report.tally.replayed == 0
        assert made.table() == before
    made.prove()


def test_a_reopened_record_that_is_a_row_gets_only_its_ledger_row(tmp_path: Path) -> None:
    """A person's mistake must not cost a double row."""
    made = world(tmp_path)
    made.mend()
    made.replay()
    made.act("reopened", 1, at=4e9)
    report = made.replay(Selector(offsets=(1, 1)))
    assert (report.tally.replayed, report.tally.there) == (0, 1)
    assert len(made.rows()) == 3
    assert [action["note"] for action in made.actions() if "already" in (action["note"] or "")]


def test_what_waits_for_its_batch_is_left_alone(tmp_path: Path) -> None:
    """A row above the table's offset would be written again by the stream (I3)."""
    made = world(tmp_path)
    made.half_written(event(5, "9 EUR"), event(6))
    made.mend()
    report = made.replay()
    assert (report.tally.replayed, report.tally.pending) == (2, 1)
    made.stream(event(7))
    assert made.replay().tally.replayed == 1
    assert [row["_kafka_offset"] for row in made.rows()] == [0, 1, 2, 5, 6, 7]
    made.prove()


@pytest.mark.parametrize("action", ["erased", "purged"])
def test_what_was_removed_never_comes_back(tmp_path: Path, action: str) -> None:
    """A removal that was killed half way has its ledger row first: the record must not return."""
    made = world(tmp_path)
    made.mend()
    made.act(action, 1)
    report = made.replay(ANY)
    assert (report.tally.replayed, report.tally.left) == (1, 1)
    assert [row["_kafka_offset"] for row in made.rows()] == [0, 2]


def test_ignored_records_come_only_when_they_are_asked_for(tmp_path: Path) -> None:
    """Ignored is a decision of a person."""
    made = world(tmp_path)
    made.mend()
    made.act("ignored", 1)
    assert made.replay().tally.replayed == 1
    assert made.replay(Selector(status="ignored")).tally.replayed == 1
    made.prove()


def test_a_patch_changes_what_is_written_and_not_what_is_kept(tmp_path: Path) -> None:
    """The dead letter is evidence; numbers that nobody patched keep their exact text."""
    made = Replays(tmp_path)
    made.stream(b'{"id": 1, "amount": "x", "tax": 1.500000000000000000001, "id": 2}', b"[1]")
    bytes_before = [letter["value"] for letter in made.letters()]
    patch = parse_patch(b'{"amount": "7"}', "fix.json")
    assert made.rehearse(patch=patch).example.after.startswith('{"id":2,"amount":"7"')
    report = made.replay(patch=patch)
    [row] = made.rows()
    assert (row["id"], row["amount"]) == (2, "7")
    assert row["_rescued"] == '{"tax":1.500000000000000000001}'
    assert [letter["value"] for letter in made.letters()] == bytes_before
    assert [cause.code for cause in report.tally.failures.counts] == ["json.not_object"]
    assert "patched (sha256 " in made.actions()[0]["note"]
    made.prove()


def test_a_value_that_was_cut_fails_again(tmp_path: Path) -> None:
    """Half an event, were it ever valid, would be a wrong row."""
    made = Replays(tmp_path, "max_record_bytes: 1KiB\n")
    made.stream(event(1, "7" * 70_000), event(2, "8 EUR"))
    made.mend()
    made.path.write_text(made.path.read_text().replace("1KiB", "1MiB"))
    report = made.replay()
    assert report.tally.replayed == 1
    assert [cause.code for cause in report.tally.failures.counts] == ["record.too_large"]
    made.prove()


def test_what_a_rule_leaves_out_stays_open(tmp_path: Path) -> None:
    """`tombstone: skip` would drop it without a row: nobody may lose a dead letter like that."""
    made = world(tmp_path)
    made.mend()
    made.path.write_text(made.path.read_text() + "tombstone: skip\n")
    report = made.replay(Selector(offsets=(4, 4)))
    assert (report.tally.skipped, report.tally.replayed, report.clean) == (1, 0, False)
    assert made.statuses() == {}
    made.prove()


def test_steps_are_bounded_in_rows_and_every_record_is_in_one(tmp_path: Path) -> None:
    """Memory must not grow with the number of dead letters."""
    made = rows_max(tmp_path, 2)
    made.stream(*(event(n, f"{n} EUR") for n in range(5, 10)))
    made.mend()
    told: list[tuple[int, int]] = []
    report = made.replay(progress=lambda done, of: told.append((done, of)))
    assert report.steps == 5
    assert told[0] == (0, 9)
    assert told[-1] == (9, 9)
    assert len(made.rows()) == 8
    made.prove()


def test_a_limit_ends_it_and_the_next_one_goes_on(tmp_path: Path) -> None:
    """A careful person tries ten records first."""
    made = world(tmp_path)
    made.mend()
    report = made.replay(limit=1)
    assert (report.tally.replayed + report.tally.failed, report.ended) == (1, "limit")
    made.replay()
    assert len(made.rows()) == 3
    made.prove()


def test_on_fail_stop_ends_at_the_first_failure(tmp_path: Path) -> None:
    """What comes behind it is untouched, what was before it is done and said."""
    made = world(tmp_path)
    made.mend()
    report = made.replay(on_fail="stop")
    assert (report.ended, report.tally.failed) == ("stopped", 1)
    assert sorted(made.statuses().values()) == sorted(
        ["replayed"] * report.tally.replayed + ["failed_again"]
    )
    rehearsed = made.rehearse(on_fail="stop")
    assert rehearsed.tally.failed == 1
    made.prove()


def test_a_stop_ends_it_between_two_steps(tmp_path: Path) -> None:
    """Ctrl-C: what is done stays done, and starting again finishes the rest."""
    made = rows_max(tmp_path, 1)
    made.mend()
    stop = threading.Event()
    report = made.replay(stop=stop, progress=lambda done, _: stop.set() if done else None)
    assert (report.ended, report.steps) == ("cancelled", 1)
    made.replay()
    assert len(made.rows()) == 3
    made.prove()


def test_a_rate_makes_small_steps_and_waits(tmp_path: Path) -> None:
    """Whoever reads the table next must not be flooded."""
    made = world(tmp_path)
    made.mend()
    waited: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout or 0.0)
            return False

    assert made.replay(rate=0.1, stop=Stop()).steps == 4
    assert len(waited) == 3
    assert 9 < waited[0] <= 10


def test_a_dry_run_tells_the_same_and_writes_nothing(tmp_path: Path) -> None:
    """A person decides by it; and it may be used beside anything."""
    made = world(tmp_path)
    made.mend()
    before = versions(made)
    rehearsed = made.rehearse()
    assert versions(made) == before
    assert not DeltaTable.is_deltatable(made.tables.ledger)
    report = made.replay()
    assert rehearsed.tally.as_json() == report.tally.as_json()
    after = made.rehearse(ANY).tally
    assert (after.replayed, after.there, after.failed) == (0, 2, 2)


def test_a_selector_that_finds_nothing_takes_no_desk(tmp_path: Path) -> None:
    """A typing error must not end the replay of a colleague."""
    made = world(tmp_path)
    before = versions(made)
    with pytest.raises(StreamProcessorError, match="no dead letter matches"):
        made.replay(Selector(code="no.such"))
    assert versions(made) == before


def test_identity_is_topic_partition_and_offset_together(tmp_path: Path) -> None:
    """Two topics have the same offsets: a row of one must not hide the letter of the other."""
    made = world(tmp_path)
    other = Partition("refunds", "YW5vdGhlci1vbmUtMTIzNA", 0)
    made.stream(event(100, "9 EUR"), event(101), event(102, "9 EUR"), partition=other)
    made.stream(event(200), event(201), partition=Partition("refunds", other.topic_id, 1))
    made.mend()
    made.replay()
    found = {(row["_kafka_topic"], row["_kafka_partition"], row["id"]) for row in made.rows()}
    assert found == {
        *(("orders", 0, number) for number in range(3)),
        *(("refunds", 0, number) for number in range(100, 103)),
        *(("refunds", 1, number) for number in range(200, 202)),
    }
    made.prove()


def test_a_table_that_was_restored_is_left_to_the_stream(tmp_path: Path) -> None:
    """A commit of ours on top would hide the restore, and the offsets between would be lost."""
    made = world(tmp_path)
    made.stream(event(5))
    made.mend()
    table = DeltaTable(made.tables.data)
    table.restore(table.version() - 1)
    with pytest.raises(TableRewound, match="restored"):
        made.replay()


def test_a_schema_that_the_table_cannot_take_is_told_before_anything(tmp_path: Path) -> None:
    """A column of another type: the dry run must say it too."""
    made = world(tmp_path)
    made.write_fields([*RIGHT[:1], {"name": "amount", "type": "long", "required": True}])
    for attempt in (made.replay, made.rehearse):
        with pytest.raises(ConfigurationError, match="amount"):
            attempt()


def test_columns_that_others_added_are_null(tmp_path: Path) -> None:
    """As for the stream: a table may have more columns than the schema file."""
    made = world(tmp_path)
    table = DeltaTable(made.tables.data)
    table.alter.add_columns([Field("tip", "string", nullable=True)])
    made.mend()
    made.replay()
    assert {row["tip"] for row in made.rows()} == {None}


def test_a_topic_that_the_pipeline_reads_is_refused(tmp_path: Path) -> None:
    """What fails again would come back as a new dead letter, for ever."""
    made = world(tmp_path)
    for attempt in (made.replay, made.rehearse):
        with pytest.raises(ConfigurationError, match="come back for ever"):
            attempt(to=Topic("orders"))


@pytest.mark.parametrize(
    "value",
    [b"\xff\xfe", b'{"id": 1, "amount": "\x1b[31m"}', b"{" * 300, b"", b" \n", b"\xef\xbb\xbf{}"],
)
def test_hostile_values_and_keys_cost_only_themselves(tmp_path: Path, value: bytes) -> None:
    """One record that breaks the job would hold back all others."""
    made = Replays(tmp_path)
    made.stream(value, event(1, "7 EUR"))
    made.mend()
    patch = parse_patch(b'{"amount": "7"}', "fix.json")
    assert made.rehearse(patch=patch).tally.replayed >= 1
    assert made.replay().tally.replayed == 1
    made.prove()


def test_many_steps_on_one_desk(tmp_path: Path) -> None:
    """A handle of the table grows with its commits, so it is exchanged; the lock must stay."""
    made = rows_max(tmp_path, 1)
    made.stream(*(event(n, f"{n} EUR") for n in range(5, 50)))
    made.mend()
    report = made.replay()
    assert (report.steps, report.tally.replayed) == (49, 47)
    made.prove()


def test_rows_that_somebody_took_out_are_written_again_when_asked_for(tmp_path: Path) -> None:
    """After a RESTORE the ledger says replayed of rows that are gone: membership knows better."""
    made = world(tmp_path)
    made.mend()
    made.replay()
    before = made.table()
    DeltaTable(made.tables.data).delete("_kafka_offset = 1")
    report = made.replay(Selector(status="replayed"))
    assert (report.tally.replayed, report.tally.there) == (1, 1)
    assert made.table() == before
    made.prove()
