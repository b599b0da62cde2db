"""`verify` between the rows of a replay and its ledger, and beside purge and erase."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from stream_processor.operations.dlq.erase import erase
from stream_processor.operations.dlq.erase_identity import EraseRequest
from stream_processor.operations.dlq.keepers import keepers_of
from stream_processor.operations.dlq.purge import PurgeRequest, purge
from stream_processor.operations.dlq.replay_request import Doer, Surroundings
from stream_processor.operations.dlq.selection import Selector
from stream_processor.operations.verify import verify
from stream_processor.runtime.clock import SystemClock
from tests.kill_points import Died, dies_at
from tests.replays import Replays, event


def world(folder: Path) -> Replays:
    """Offsets: 0 a row, 1 to 3 dead until the schema is mended, 4 a row."""
    made = Replays(folder)
    made.stream(event(0), event(1, "7 EUR"), event(2, "8 EUR"), event(3, "9 EUR"), event(4))
    made.mend()
    return made


def test_a_replay_that_died_before_its_ledger_is_no_double(tmp_path: Path) -> None:
    """The log says whose rows they are; a false alarm at night would end in a repair by hand."""
    made = world(tmp_path)
    with pytest.raises(Died):
        made.replay(kill_point=dies_at("desk.after_step", 2))
    report = made.verify()
    assert report.clean, report.findings
    assert (report.partitions[0].unrecorded, report.partitions[0].replayed) == (3, 0)
    assert report.partitions[0].double == 0
    assert "3 replayed rows are unrecorded: run any `dlq replay`" in report.conclusion
    made.stream(event(5))
    made.replay()
    report = made.verify()
    assert (report.partitions[0].unrecorded, report.partitions[0].replayed) == (0, 3)
    assert "unrecorded" not in report.conclusion
    made.prove()


def test_rows_that_no_replay_wrote_are_double_all_the_same(tmp_path: Path) -> None:
    """Only what the files of that step added is excused, never a stranger's insert beside it."""
    made = world(tmp_path)
    with pytest.raises(Died):
        made.replay(Selector(offsets=(1, 1)), kill_point=dies_at("desk.after_step", 2))
    row = made.rows()[0] | {"_kafka_offset": 2}
    table = DeltaTable(made.tables.data)
    rows = pa.Table.from_pylist([row], schema=pa.schema(table.schema().to_arrow()))
    write_deltalake(table, rows, mode="append")
    [finding] = made.verify().findings
    assert (finding.kind, finding.examples) == ("double_both", (2,))


def test_every_row_in_both_tables_without_a_ledger_is_a_finding(tmp_path: Path) -> None:
    """Also when the ledger has another action for it."""
    made = world(tmp_path)
    made.act("ignored", 1)
    for offset in (1, 2):
        row = made.rows()[0] | {"_kafka_offset": offset}
        table = DeltaTable(made.tables.data)
        rows = pa.Table.from_pylist([row], schema=pa.schema(table.schema().to_arrow()))
        write_deltalake(table, rows, mode="append")
    [finding] = made.verify().findings
    assert (finding.kind, finding.examples) == ("double_both", (1, 2))


def test_replay_purge_and_erase_together_add_up(tmp_path: Path) -> None:
    """Each offset has its place, whatever was done with it before."""
    made = world(tmp_path)
    made.replay(Selector(offsets=(1, 2)))
    around = Surroundings(Doer("r", "tester"), SystemClock(), threading.Event())
    ended = datetime.now(UTC) + timedelta(days=9)
    purge(keepers_of(made.loaded(), "r"), PurgeRequest(Selector(offsets=(2, 2)), ended), around)
    erase(keepers_of(made.loaded(), "r"), EraseRequest("orders", 0, 1), around)
    made.replay()
    erase(keepers_of(made.loaded(), "r"), EraseRequest("orders", 0, 4), around)
    assert [row["_kafka_offset"] for row in made.rows()] == [0, 2, 3]
    assert [letter["offset"] for letter in made.letters()] == [3]
    part = verify(made.tables).partitions[0]
    assert (part.rows, part.dead_letters, part.replayed, part.ledger) == (3, 1, 1, 2)
    made.prove()


def test_a_killed_erase_of_a_replayed_record_is_clean_and_completed(tmp_path: Path) -> None:
    """It is in both tables and on its way out of both."""
    made = world(tmp_path)
    made.replay(Selector(offsets=(1, 1)))
    around = Surroundings(
        Doer("r", "tester"), SystemClock(), threading.Event(), dies_at("erase.removed")
    )
    with pytest.raises(Died):
        erase(keepers_of(made.loaded(), "r"), EraseRequest("orders", 0, 1), around)
    made.prove()
    made.replay()
    made.prove()
    quiet = Surroundings(Doer("r", "tester"), SystemClock(), threading.Event())
    erase(keepers_of(made.loaded(), "r"), EraseRequest("orders", 0, 1), quiet)
    assert [row["_kafka_offset"] for row in made.rows()] == [0, 2, 3, 4]
    made.prove()
