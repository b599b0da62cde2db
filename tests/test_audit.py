"""The audit finds damage that is planted: a clean report of a blind auditor proves nothing."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import CommitProperties, Transaction, write_deltalake

from tests.audit import At, Sent, Tables, audit

ORDERS = At("topic-id", 0)


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables("pipe", str(tmp_path / "orders"), str(tmp_path / "orders__dlq"))


def write(uri: str, rows: pa.Table, storage: dict[str, str] | None = None, **numbers: int) -> None:
    """Append rows with `txn` ids: `h` is the offset, `h_start` the id `#start`, and so on."""
    ids = [
        Transaction("pipe/topic-id/0" + name.removeprefix("h").replace("_", "#"), number)
        for name, number in numbers.items()
    ]
    options = storage or {}
    properties = CommitProperties(app_transactions=ids)
    write_deltalake(uri, rows, mode="append", storage_options=options, commit_properties=properties)


def data(*offsets: int) -> pa.Table:
    return pa.table(
        {
            "_kafka_topic": pa.array(["orders"] * len(offsets), pa.string()),
            "_kafka_topic_id": pa.array(["topic-id"] * len(offsets), pa.string()),
            "_kafka_partition": pa.array([0] * len(offsets), pa.int32()),
            "_kafka_offset": pa.array(offsets, pa.int64()),
        }
    )


def dead(*offsets: int) -> pa.Table:
    return pa.table(
        {
            "topic": pa.array(["orders"] * len(offsets), pa.string()),
            "topic_id": pa.array(["topic-id"] * len(offsets), pa.string()),
            "partition": pa.array([0] * len(offsets), pa.int32()),
            "offset": pa.array(offsets, pa.int64()),
            "key": pa.array([None] * len(offsets), pa.binary()),
            "value": pa.array([b"bad%d" % offset for offset in offsets], pa.binary()),
            "value_truncated": pa.array([False] * len(offsets)),
        }
    )


def sent(*offsets: int) -> dict[At, dict[int, Sent | None]]:
    return {ORDERS: {offset: Sent(None, b"bad%d" % offset) for offset in offsets}}


def test_a_clean_run_passes_and_is_counted(tables: Tables) -> None:
    """Data 3 to 6 without the dead 4, a hole at 7, a skipped 8."""
    write(tables.dead, dead(4), h=7)
    write(tables.data, data(3, 5, 6), h_start=3, h=9, h_holes=1, h_skipped=1)
    account = audit(tables, sent(3, 4, 5, 6))[ORDERS]
    assert (account.start, account.upto, account.rows, account.dead) == (3, 9, 3, 1)
    assert (account.holes, account.skipped, account.expired) == (1, 1, 0)


def test_a_table_without_rows_passes(tables: Tables) -> None:
    """A run in which every record was dead, or none, is a run too."""
    write(tables.dead, dead(0, 1), h=2)
    write(tables.data, data(), h_start=0, h=2)
    assert audit(tables)[ORDERS].dead == 2


def test_evidence_that_waits_for_its_data_half_is_allowed(tables: Tables) -> None:
    """After a crash between the two commits the dead letters are ahead: that is no damage."""
    write(tables.dead, dead(2), h=3)
    write(tables.data, data(0, 1), h_start=0, h=2)
    audit(tables)


@pytest.mark.parametrize(
    ("rows", "letters", "finding"),
    [
        pytest.param((0, 1), (3,), r"1 unaccounted for", id="lost"),
        pytest.param((0, 1, 1, 2), (3,), r"twice in the data table: 1", id="double row"),
        pytest.param((0, 1, 2), (3, 3), r"twice in the dead letters: 3", id="double letter"),
        pytest.param((0, 1, 2, 3), (3,), r"in both tables: 3", id="both"),
        pytest.param((0, 1, 2, 4), (3,), r"the data table outside \[0, 4\): 4", id="row above"),
        pytest.param((-1, 0, 1, 2), (3,), r"the data table outside \[0, 4\): -1", id="row below"),
        pytest.param((0, 1, 2), (3, 4), r"the dead letters outside \[0, 4\): 4", id="letter above"),
    ],
)
def test_planted_damage_is_found(
    tables: Tables, rows: tuple[int, ...], letters: tuple[int, ...], finding: str
) -> None:
    """Each way in which exactly once can fail, in a table that claims the offsets [0, 4)."""
    write(tables.dead, dead(*letters), h=4)
    write(tables.data, data(*rows), h_start=0, h=4)
    with pytest.raises(AssertionError, match=finding):
        audit(tables)


def record(tables: Tables, **actions: int) -> None:
    """Write ledger rows: `replayed=3` says that offset 3 was replayed."""
    rows = dead(*actions.values()).select(["topic", "topic_id", "partition", "offset"])
    rows = rows.append_column("action", pa.array(list(actions), pa.string()))
    write_deltalake(f"{tables.dead}_actions", rows, mode="append")


def test_what_people_did_with_dead_letters_is_accounted_for(tables: Tables) -> None:
    """Replayed is in both tables, purged and erased in none: only the ledger tells it from loss."""
    write(tables.dead, dead(1, 4), h=6)
    write(tables.data, data(0, 1, 5), h_start=0, h=6)
    with pytest.raises(AssertionError, match="2 unaccounted for") as raised:
        audit(tables, sent(0, 1, 2, 3, 4, 5))
    assert "in both tables: 1" in str(raised.value)
    assert "produced, but in no table: 2, 3" in str(raised.value)
    record(tables, replayed=1, purged=2, erased=3, ignored=4)
    account = audit(tables, sent(0, 1, 2, 3, 4, 5))[ORDERS]
    assert (account.rows, account.dead, account.replayed, account.gone) == (3, 2, 1, 2)


@pytest.mark.parametrize("action", ["purged", "erased", "ignored", "failed_again"])
def test_only_a_replay_excuses_a_record_in_both_tables(tables: Tables, action: str) -> None:
    """Any other action beside a row and a dead letter means that the event was written twice."""
    write(tables.dead, dead(1), h=2)
    write(tables.data, data(0, 1), h_start=0, h=2)
    record(tables, **{action: 1})
    with pytest.raises(AssertionError, match="in both tables: 1"):
        audit(tables)


@pytest.mark.parametrize("action", ["ignored", "failed_again", "reopened"])
def test_an_action_that_removes_nothing_excuses_no_loss(tables: Tables, action: str) -> None:
    """A record that somebody ignored is still to be there."""
    write(tables.dead, dead(), h=2)
    write(tables.data, data(0), h_start=0, h=2)
    record(tables, **{action: 1})
    with pytest.raises(AssertionError, match="1 unaccounted for"):
        audit(tables)


def test_a_loss_behind_an_invented_hole_is_found_by_the_producer(tables: Tables) -> None:
    """Books that balance are not enough when one knows what was sent."""
    write(tables.dead, dead(3), h=4)
    write(tables.data, data(0, 1), h_start=0, h=4, h_holes=1)
    audit(tables)
    with pytest.raises(AssertionError, match="produced, but in no table: 2"):
        audit(tables, sent(0, 1, 2, 3))


def test_what_was_not_reached_or_never_sent_is_found(tables: Tables) -> None:
    """A finished run has everything, and nothing that is not the producer's (aborted records)."""
    write(tables.dead, dead(3), h=4)
    write(tables.data, data(0, 1, 2), h_start=0, h=4)
    with pytest.raises(AssertionError, match="produced, but in no table: 4, 5") as raised:
        audit(tables, sent(0, 1, 3, 4, 5))
    assert "in a table, but never produced: 2" in str(raised.value)


def test_changed_bytes_are_found(tables: Tables) -> None:
    """A dead letter is evidence only if it holds what came."""
    write(tables.dead, dead(3), h=4)
    write(tables.data, data(0, 1, 2), h_start=0, h=4)
    expected: dict[At, dict[int, Sent | None]] = {
        ORDERS: {0: None, 1: None, 2: None, 3: Sent(None, b"bad 3")}
    }
    with pytest.raises(AssertionError, match="dead letter 3 holds other bytes"):
        audit(tables, expected)


def test_a_partition_that_the_table_forgot_is_found(tables: Tables) -> None:
    """Rows without an offset in the log would be read and written again."""
    write(tables.dead, dead())
    write(tables.data, data(0))
    with pytest.raises(AssertionError, match="no offset or no start"):
        audit(tables)


@pytest.mark.stack
def test_it_reads_tables_on_the_store(bucket_url: str, storage_options: dict[str, str]) -> None:
    """The tables that matter are on MinIO."""
    tables = Tables("pipe", f"{bucket_url}/orders", f"{bucket_url}/orders__dlq", storage_options)
    write(tables.dead, dead(2), storage_options, h=3)
    write(tables.data, data(0, 1, 1), storage_options, h=3, h_start=0)
    with pytest.raises(AssertionError, match="twice in the data table: 1"):
        audit(tables)
