"""`verify` on tables that are right, and on tables with every kind of damage."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from stream_processor.errors import ConfigurationError, StoreUnavailable, TableRefused
from stream_processor.operations.verify import verify
from tests.unit.operations.lakehouse import DATA, ORDERS, Kafka, Lakehouse


@pytest.fixture
def lake(tmp_path):
    return Lakehouse(str(tmp_path))


def test_rows_and_dead_letters_account_for_every_offset(lake):
    """The sentence that a person on call reads must be exact."""
    lake.dead([3, 7], upto=10)
    lake.data([0, 1, 2, 4, 5, 6, 8, 9], upto=10, start=0)
    report = lake.verify()
    assert report.clean
    assert report.conclusion == "10 offsets: 8 rows, 2 dead letters, 0 lost, 0 double"
    assert json.loads(json.dumps(report.as_json()))["partitions"][0]["topic"] == "orders"


def test_a_person_who_waits_sees_how_far_it_is(lake):
    """A billion offsets take a minute, and a silent minute looks like a hang."""
    lake.dead([3, 7], upto=10)
    lake.data([0, 1, 2, 4], upto=5, start=0)
    lake.data([5, 6, 8, 9], upto=10)
    heard: list[tuple[int, int]] = []
    verify(lake.tables, progress=lambda done, rows: heard.append((done, rows)))
    assert [done for done, _ in heard] == sorted(done for done, _ in heard)
    assert heard[-1] == (10, 10)


def test_a_missing_offset_is_lost_and_named(lake):
    """Finding a lost event is what the verb exists for."""
    lake.data([0, 1, 2, 4, 5], upto=6, start=0)
    [finding] = lake.verify().findings
    assert (finding.kind, finding.count, finding.examples) == ("lost", 1, (3,))
    assert (finding.topic, finding.topic_id, finding.partition) == ("orders", ORDERS, 0)


def test_a_known_hole_is_never_named_as_the_lost_one(lake):
    """A person looks for the named offset in Kafka; a transaction marker is not there."""
    note = {"partitions": {f"{ORDERS}/0": {"holes": [[1, 3]], "gaps": []}}}
    rows = pa.table(
        {
            "order_id": ["a", "b"],
            "_kafka_topic": ["orders"] * 2,
            "_kafka_topic_id": [ORDERS] * 2,
            "_kafka_partition": [0, 0],
            "_kafka_offset": [0, 4],
        },
        schema=DATA,
    )
    lake.commit(lake.tables.data, rows, lake.txns(0, {"upto": 5, "start": 0, "holes": 2}), note)
    [finding] = lake.verify().findings
    assert (finding.kind, finding.examples) == ("lost", (3,))


def test_an_offset_twice_in_the_data_is_double_in_one_commit_or_in_two(lake):
    """A restart that writes a batch again is the classic way to write twice."""
    lake.data([0, 1, 1, 1, 2], upto=3, start=0)
    lake.data([2, 3, 4], upto=5)
    [finding] = lake.verify().findings
    assert (finding.kind, finding.count, finding.examples) == ("double_row", 3, (1, 1, 2))


def test_an_offset_twice_in_the_dead_letters_is_double(lake):
    """A dead letter per retry is what other tools do; here it is a finding."""
    lake.dead([1], upto=2)
    lake.dead([1], upto=3)
    lake.data([0, 2], upto=3, start=0)
    assert lake.kinds() == {"double_dead_letter": 1}


def test_an_offset_in_both_tables_is_double_unless_it_was_replayed(lake):
    """Replay leaves the dead letter where it is: only the ledger tells it from a fault."""
    lake.dead([1, 2], upto=3)
    lake.data([0, 1, 2], upto=3, start=0)
    assert lake.kinds() == {"double_both": 2}
    lake.ledger([1], "replayed")
    [finding] = lake.verify().findings
    assert (finding.kind, finding.examples) == ("double_both", (2,))
    lake.ledger([2, 2], "replayed")
    report = lake.verify()
    assert report.clean
    assert report.partitions[0].replayed == 2
    assert "2 dead letters, 2 of them replayed, 0 lost" in report.conclusion


@pytest.mark.parametrize("action", ["purged", "erased", "replayed"])
def test_what_the_ledger_took_away_is_accounted_for(lake, action):
    """A purge must not look like a loss for ever after."""
    lake.dead([2], upto=3)
    lake.data([0], upto=3, start=0)
    lake.ledger([1], action)
    report = lake.verify()
    assert report.clean
    assert report.partitions[0].ledger == 1


@pytest.mark.parametrize("action", ["ignored", "reopened", "failed_again"])
def test_other_ledger_rows_excuse_nothing(lake, action):
    """An ignored dead letter that is gone is a loss all the same."""
    lake.dead([], upto=3)
    lake.data([0, 2], upto=3, start=0)
    lake.ledger([1], action)
    assert lake.kinds() == {"lost": 1}


def test_rows_beyond_the_committed_offset_are_found(lake):
    """They would be read again and written twice."""
    lake.data([5, 6, 7, 9, 4], upto=8, start=5)
    [finding] = lake.verify().findings
    assert (finding.kind, finding.examples) == ("row_outside", (4, 9))


def test_dead_letters_that_wait_for_their_data_half_are_no_finding(lake):
    """Between the two commits of a batch, or after a crash there, all is well."""
    lake.dead([4, 5], upto=6)
    lake.data([0, 1, 2, 3], upto=4, start=0)
    report = lake.verify()
    assert report.clean
    assert report.partitions[0].pending == 2
    assert report.conclusion.endswith("0 double; 2 dead letters wait for their data half")


def test_dead_letters_beyond_both_tables_are_found(lake):
    """Nothing would hold them back at a restart."""
    lake.dead([4, 6], upto=6)
    lake.data([0, 1, 2, 3], upto=4, start=0)
    assert lake.kinds() == {"dead_letter_outside": 1}


def test_a_waiting_dead_letter_twice_is_found(lake):
    """A pending batch is judged like a finished one."""
    lake.dead([4, 4], upto=6)
    lake.data([0, 1, 2, 3], upto=4, start=0)
    assert lake.kinds() == {"double_dead_letter": 1}


def test_counters_explain_offsets_without_a_row(lake):
    """Transaction markers, filtered tombstones and our own retention are not losses."""
    lake.data([0, 4, 9], upto=10, start=0, holes=3, skipped=2, expired=2)
    report = lake.verify()
    assert report.clean
    assert "3 holes" in report.conclusion
    assert "2 skipped" in report.conclusion
    assert "2 expired" in report.conclusion


def test_counters_that_explain_too_much_are_found(lake):
    """A counter that counts what is also a row would hide a loss later."""
    lake.data([0, 1, 2], upto=3, start=0, holes=1)
    assert lake.kinds() == {"surplus": 1}


def test_a_partition_joined_late_counts_from_its_start(lake):
    """With `latest`, offsets before the anchor were never ours."""
    far = 10**15
    lake.data([far, far + 1], partition=3, upto=far + 2, start=far)
    report = lake.verify()
    assert report.clean
    assert report.partitions[0].offsets == 2


def test_a_gap_of_any_size_costs_no_memory_for_the_gap(lake):
    """A person may accept that retention took a trillion offsets."""
    end = 10**12
    lake.data([0, end - 1], upto=end, start=0, holes=end - 2)
    assert lake.verify().clean


def test_topics_and_incarnations_are_separate_partitions(lake):
    """The same offset under another topic id is another event."""
    lake.data([0, 1], upto=2, start=0)
    replace(lake, topic_id=f"{ORDERS}~1").data([0, 1, 2], upto=3, start=0)
    replace(lake, topic="refunds", topic_id="cmVmdW5kcy1yZWZ1bmRzLQ").data([0], upto=1, start=0)
    report = lake.verify()
    assert report.clean
    assert [(p.topic, p.topic_id, p.offsets) for p in report.partitions] == [
        ("orders", ORDERS, 2),
        ("orders", f"{ORDERS}~1", 3),
        ("refunds", "cmVmdW5kcy1yZWZ1bmRzLQ", 1),
    ]


def test_topics_without_ids_are_known_by_name(tmp_path):
    """`topic_identity: name` is for brokers that have no ids."""
    lake = Lakehouse(str(tmp_path), topic_id=None)
    lake.dead([1], upto=2)
    lake.data([0], upto=2, start=0)
    report = lake.verify()
    assert report.clean
    assert (report.partitions[0].topic, report.partitions[0].topic_id) == ("orders", None)


def test_many_partitions_interleaved_in_one_file_are_kept_apart(lake):
    """A real file holds a few rows of every partition in turn."""
    parts, each = 70_000 // 1_000, 1_000
    numbers = [p for _ in range(each // 10) for p in range(parts) for _ in range(10)]
    offsets = [
        o for start in range(0, each, 10) for _ in range(parts) for o in range(start, start + 10)
    ]
    rows = pa.table(
        {
            "order_id": ["x"] * len(offsets),
            "_kafka_topic": ["orders"] * len(offsets),
            "_kafka_topic_id": [ORDERS] * len(offsets),
            "_kafka_partition": numbers,
            "_kafka_offset": offsets,
        },
        schema=DATA,
    )
    txns = {}
    for number in range(parts):
        txns |= lake.txns(number, {"upto": each, "start": 0})
    lake.commit(lake.tables.data, rows, txns)
    report = lake.verify()
    assert report.clean
    assert len(report.partitions) == parts
    lake.data([17], partition=42)
    [finding] = lake.verify().findings
    assert (finding.kind, finding.partition, finding.examples) == ("double_row", 42, (17,))


def test_an_empty_table_is_clean(lake):
    """A pipeline that has claimed its partitions and read nothing yet."""
    lake.data([], upto=7, start=7)
    assert lake.verify().conclusion == "0 offsets: 0 rows, 0 dead letters, 0 lost, 0 double"


def test_a_partition_that_only_the_dead_letters_know_is_pending(lake):
    """It was claimed after the data table was looked at."""
    lake.data([0], upto=1, start=0)
    lake.dead([5], partition=1, upto=9, start=5)
    report = lake.verify()
    assert report.clean
    assert [p.pending for p in report.partitions] == [0, 1]


def test_rows_without_an_identity_are_found(lake):
    """Nobody can say which event they are."""
    lake.data([0], upto=1, start=0)
    rows = pa.table({"order_id": ["x", "y"]}, schema=pa.schema([DATA.field(0)]))
    for field in list(DATA)[1:]:
        rows = rows.append_column(field, pa.nulls(2, field.type))
    lake.commit(lake.tables.data, rows, {})
    assert lake.kinds() == {"no_identity": 2}


def test_rows_of_a_partition_that_was_never_claimed_are_found(lake):
    """Somebody else wrote them."""
    lake.data([0], upto=1, start=0)
    lake.data([0, 1], partition=9)
    [finding] = lake.verify().findings
    assert (finding.kind, finding.partition, finding.count) == ("unknown_partition", 9, 2)


def test_ids_of_other_programs_in_the_table_are_ignored(lake):
    """Replay and maintenance keep ids of their own there."""
    lake.data([0], upto=1, start=0)
    lake.commit(lake.tables.data, DATA.empty_table(), {"replay/run-1": 3, "orders2/x/0": 99})
    assert lake.verify().clean


def test_checkpoint_log_cleanup_and_compaction_change_nothing(lake):
    """The proof must outlive the log it was written in."""
    for begin in range(0, 60, 10):
        lake.data(range(begin, begin + 10), upto=begin + 10, start=0)
    before = lake.verify()
    table = lake.open_data()
    table.optimize.compact()
    table.create_checkpoint()
    table.alter.set_table_properties({"delta.logRetentionDuration": "interval 0 seconds"})
    table = lake.open_data()
    table.create_checkpoint()
    table.cleanup_metadata()
    left = sorted(p.name for p in Path(lake.tables.data, "_delta_log").glob("*.json"))
    assert f"{0:020}.json" not in left
    after = lake.verify()
    assert after.clean
    assert after.partitions == before.partitions


def test_a_missing_table_is_a_clear_error(lake):
    """A typing error in the address must not read as `0 offsets, all is well`."""
    with pytest.raises(ConfigurationError, match="there is no table at"):
        lake.verify()


def test_a_lost_dead_letter_table_is_found_by_what_it_held(lake):
    """A dropped table is a loss, not an error to stop at."""
    lake.data([0, 2], upto=3, start=0)
    report = lake.verify()
    assert report.dead_letter_version is None
    assert [f.kind for f in report.findings] == ["lost"]


def test_the_table_of_another_pipeline_is_refused(lake):
    """Its numbers would be true and mean nothing."""
    lake.data([0], upto=1, start=0)
    lake.open_data().alter.set_table_properties(
        {"stream_processor.pipeline": "billing"}, raise_if_not_exists=False
    )
    with pytest.raises(TableRefused, match="belongs to the pipeline 'billing'"):
        lake.verify()


def test_a_table_without_our_columns_is_refused(lake):
    """The address may be that of any table."""
    lake.commit(lake.tables.data, pa.table({"a": [1]}), {})
    with pytest.raises(TableRefused, match="has no column _kafka_offset"):
        lake.verify()


def test_a_damaged_file_is_said_in_one_sentence(lake):
    """Not a stack trace of the Parquet reader."""
    lake.data(range(100), upto=100, start=0)
    for file in Path(lake.tables.data).glob("*.parquet"):
        file.write_bytes(b"x" * file.stat().st_size)
    with pytest.raises(StoreUnavailable, match="not readable Parquet"):
        lake.verify()


def test_a_hole_that_kafka_still_delivers_is_found(lake):
    """A source that lost a record would make a hole of it: only Kafka can tell."""
    lake.data([0, 1, 4, 5, 8], upto=10, start=0, holes=5)
    clean = verify(lake.tables, Kafka(set(), 0, 10))
    assert clean.clean
    assert clean.partitions[0].unchecked == 0
    kafka = Kafka({0, 1, 3, 8, 9}, 3, 9)
    report = verify(lake.tables, kafka)
    [finding] = report.findings
    assert (finding.kind, finding.count, finding.examples) == ("hole_in_kafka", 1, (3,))
    assert kafka.asked == [(3, 4), (6, 8)]
    assert report.partitions[0].unchecked == 2


def test_skipped_events_in_kafka_are_no_false_holes(lake):
    """What was left out by rule is delivered again, of course."""
    lake.data([0, 2], upto=4, start=0, skipped=1, holes=1)
    assert verify(lake.tables, Kafka({1}, 0, 4)).clean
    assert not verify(lake.tables, Kafka({1, 3}, 0, 4)).clean


def test_holes_from_before_a_rewind_are_not_asked_for(lake):
    """Other events live at those offsets now."""
    lake.data([0], upto=2, start=0, holes=1)
    replace(lake, topic_id=f"{ORDERS}~1").data([1], upto=2, start=1)
    report = verify(lake.tables, Kafka({0, 1}, 0, 2))
    assert report.clean
    assert [p.unchecked for p in report.partitions] == [1, 0]


def test_an_audit_beside_a_running_writer_never_cries_wolf(lake):
    """A person runs it while the pipeline writes; that must not look like a loss."""
    lake.dead([], upto=0)
    lake.data([], upto=0, start=0)

    def write() -> None:
        for begin in range(0, 80, 2):
            lake.dead([begin], upto=begin + 2)
            lake.data([begin + 1], upto=begin + 2)

    seen = set()
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        while not writing.done():
            report = lake.verify()
            assert report.findings == ()
            seen.add(report.data_version)
        writing.result()
    assert lake.verify().partitions[0].offsets == 80
    assert len(seen) > 1
