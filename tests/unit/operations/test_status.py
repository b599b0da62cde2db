"""`status` from the tables alone."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from deltalake import write_deltalake

from stream_processor.errors import ConfigurationError
from stream_processor.operations.status import COMMITS_SHOWN, status
from stream_processor.ports import Partition
from tests.letters import Letters, broken, good
from tests.unit.operations.lakehouse import ORDERS, Lakehouse


@pytest.fixture
def lake(tmp_path):
    return Lakehouse(str(tmp_path))


def batch(rows: int, dead: int) -> dict[str, object]:
    return {"kind": "batch", "partitions": {f"{ORDERS}/0": {"rows": rows, "dead": dead}}}


def test_it_says_how_far_each_partition_is(lake):
    """Lag is the first question of the person on call."""
    lake.data([0, 1, 2], upto=3, start=0, note=batch(3, 0))
    lake.data([7], partition=1, upto=8, start=7, note=batch(1, 0))
    asked = []

    def ends(partitions):
        asked.extend(partitions)
        return {Partition("orders", ORDERS, 0): 10}

    report = status(lake.tables, ends)
    assert [(p.partition, p.committed, p.end, p.lag) for p in report.partitions] == [
        (0, 3, 10, 7),
        (1, 8, None, None),
    ]
    assert len(asked) == 2
    assert report.lag == 7
    assert report.waiting is None
    assert json.loads(json.dumps(report.as_json()))["lag"] == 7


def test_without_kafka_no_lag_is_invented(lake):
    """0 would read as `all is well`."""
    lake.data([0], upto=1, start=0)
    report = status(lake.tables)
    assert report.lag is None
    assert report.partitions[0].lag is None


def test_the_newest_commits_come_first_and_upkeep_is_left_out(lake):
    """A person wants to see when rows last arrived."""
    for number in range(COMMITS_SHOWN + 5):
        lake.data([number], upto=number + 1, start=0, note=batch(1, number))
    lake.data([], upto=COMMITS_SHOWN + 5, note={"kind": "claim"})
    lake.open_data().optimize.compact()
    report = status(lake.tables)
    assert len(report.commits) == COMMITS_SHOWN
    newest = report.commits[0]
    assert (newest.version, newest.rows, newest.dead_letters) == (14, 1, 14)
    assert newest.at.endswith("Z")
    assert newest.seconds is not None
    assert report.last_commit_at == newest.at
    assert report.data.files == 1
    assert report.data.rows == COMMITS_SHOWN + 5
    assert report.data.size_bytes > 0
    assert report.foreign_writers == ()


def test_dead_letters_are_counted_by_cause(lake):
    """The largest cause first: that is the one to look at."""
    lake.data([0], upto=6, start=0)
    lake.dead([1], upto=6, code="field.type")
    lake.dead([2, 3], upto=6, code="json.syntax")
    lake.dead([4], upto=6, code="json.syntax")
    report = status(lake.tables)
    assert [(d.stage, d.code, d.count) for d in report.dead_letters] == [
        ("parse", "json.syntax", 3),
        ("parse", "field.type", 1),
    ]
    assert report.dead_letter_table is not None
    assert report.dead_letter_table.rows == 4


def test_a_batch_that_waits_for_its_data_half_is_said(lake):
    """After a crash between the two commits, `verify` calls these dead letters pending."""
    lake.dead([1], upto=3)
    lake.data([0], upto=1, start=0)
    report = status(lake.tables)
    assert report.partitions[0].waiting
    assert report.waiting is not None
    assert report.waiting.startswith("a batch waits for its data half in orders[0]")


def test_rewound_partitions_are_marked_and_kafka_is_not_asked_for_them(lake):
    """Their old offsets are other events by now; a lag of theirs would be nonsense."""
    lake.data([0], upto=9, start=0)
    replace(lake, topic_id=f"{ORDERS}~1").data([4], upto=5, start=4)
    asked = []
    report = status(lake.tables, lambda parts: asked.extend(parts) or {})
    assert [(p.topic_id, p.superseded) for p in report.partitions] == [
        (ORDERS, True),
        (f"{ORDERS}~1", False),
    ]
    assert [p.topic_id for p in asked] == [f"{ORDERS}~1"]


def test_foreign_writers_are_named(lake):
    """One writer per table: whoever else changes it should be known before he is needed."""
    lake.data([0], upto=1, start=0, note=batch(1, 0))
    table = lake.open_data()
    write_deltalake(table, table.to_pyarrow_table(), mode="append")
    assert [name.split(":")[0] for name in status(lake.tables).foreign_writers] == ["delta-rs"]
    assert status(lake.tables).foreign_writers[0].endswith("(WRITE)")


def test_a_missing_table_is_a_clear_error(lake):
    """A typing error in the address must not read as an idle pipeline."""
    with pytest.raises(ConfigurationError, match="there is no table at"):
        status(lake.tables)


def test_open_dead_letters_come_first_and_settled_ones_are_told_apart(tmp_path):
    """A thousand that are replayed are no work; one that is open is."""
    made = Letters(tmp_path)
    made.stream(good(0), b"{", b"{", broken(3), broken(4), broken(5))
    made.act("replayed", 1)
    made.act("ignored", 2, 3)
    made.act("failed_again", 4)
    seen = status(made.tables)
    assert [(d.code, d.open, d.replayed, d.ignored, d.count) for d in seen.dead_letters] == [
        ("field.type", 2, 0, 1, 3),
        ("json.syntax", 0, 1, 1, 2),
    ]
