"""One event leaves everything that is kept, and it is proved; nothing else leaves with it."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable

from stream_processor.errors import ConfigurationError, StreamProcessorError
from stream_processor.operations.dlq.erase import EraseReport, erase, plan_erase
from stream_processor.operations.dlq.erase_identity import EraseRequest
from stream_processor.operations.dlq.erase_proof import (
    Proof,
    needles_for,
    prove,
    vacuum_when_due,
)
from stream_processor.operations.dlq.identity import Identity
from stream_processor.operations.dlq.keepers import Keepers, keepers_of
from stream_processor.operations.dlq.letters import open_letters
from stream_processor.operations.dlq.purge import PurgeRequest, purge
from stream_processor.operations.dlq.replay_request import Doer, Surroundings
from stream_processor.operations.dlq.selection import Selector
from stream_processor.ports import Decisions, KillPoint, Partition, never
from stream_processor.runtime.clock import SystemClock
from stream_processor.sources.memory import MemoryLog
from tests.audit import Tables, audit
from tests.kill_points import Died, dies_at
from tests.letters import P0, Letters, broken, good

SECRET = "erika.mustermann@example.com"
OTHER = "hans.mustermann@example.com"


def around(kill_point: KillPoint = never) -> Surroundings:
    return Surroundings(Doer("r-1", "tester"), SystemClock(), threading.Event(), kill_point)


def keepers(made: Letters, kill_point: KillPoint = never) -> Keepers:
    return keepers_of(made.loaded(), "r-1", kill_point)


def at(offset: int, topic_id: str | None = None) -> EraseRequest:
    return EraseRequest("orders", 0, offset, topic_id)


def run(made: Letters, offset: int, kill_point: KillPoint = never) -> EraseReport:
    return erase(keepers(made, kill_point), at(offset), around(kill_point))


def world(folder: Path) -> Letters:
    """0 a row, 1 a dead letter with a name in it, 2 a row with another, 3 a dead letter."""
    made = Letters(folder)
    made.stream(
        good(0), broken(1, SECRET), good(2, order_id="ORDER-OF-" + OTHER), broken(3, "nobody")
    )
    return made


def assert_accounted(made: Letters) -> None:
    report = made.verify()
    assert report.clean, report.findings
    audit(Tables("orders", made.tables.data, made.tables.dead_letters))


def purged(made: Letters) -> None:
    request = PurgeRequest(Selector(), datetime.now(UTC) + timedelta(days=9), ("open",))
    purge(keepers(made), request, around())


def forget_soon(made: Letters) -> None:
    """Let vacuum remove what the tables no longer name after a second instead of a week."""
    for uri in (made.tables.data, made.tables.dead_letters):
        properties = {"delta.deletedFileRetentionDuration": "interval 1 seconds"}
        DeltaTable(uri).alter.set_table_properties(properties, raise_if_not_exists=False)


def proof_of(made: Letters, offset: int) -> Proof:
    """Erase, wait, vacuum and search, as `--wait-vacuum` does."""
    mine = keepers(made)
    identity = plan_erase(mine, at(offset)).identity
    needles = needles_for(mine, identity)
    report = erase(mine, at(offset), around())
    assert vacuum_when_due(mine, report, around())
    found = prove(mine, identity, needles, around())
    assert found is not None
    return found


def test_a_dead_letter_is_erased_and_the_books_balance(tmp_path: Path) -> None:
    """A person's right to be forgotten must not look like a loss."""
    made = world(tmp_path)
    plan = plan_erase(keepers(made), at(1))
    assert (plan.in_dead_letters, plan.in_data, plan.in_archive) == (True, False, ())
    report = run(made, 1)
    assert [row["offset"] for row in made.letters()] == [3]
    assert [row["_kafka_offset"] for row in made.rows()] == [0, 2]
    assert [(row["action"], row["offset"], row["actor"]) for row in made.actions()] == [
        ("erased", 1, "tester")
    ] * 2
    assert made.actions()[0]["dlq_id"] == plan.dlq_id
    assert report.physical_at - made.actions()[-1]["at"] == timedelta(days=7)
    assert_accounted(made)


def test_a_row_is_erased_too(tmp_path: Path) -> None:
    """Most events of a person are good ones."""
    made = world(tmp_path)
    run(made, 2)
    assert [row["_kafka_offset"] for row in made.rows()] == [0]
    assert len(made.letters()) == 2
    assert_accounted(made)
    made.stream(good(4))
    assert_accounted(made)


def test_what_was_purged_is_erased_from_the_archive(tmp_path: Path) -> None:
    """An archive that nobody can erase from would keep what the law wants gone."""
    made = world(tmp_path)
    purged(made)
    [file] = keepers(made).archive.files()
    assert plan_erase(keepers(made), at(1)).in_archive == (file,)
    run(made, 1)
    [other] = keepers(made).archive.files()
    assert other != file
    identity = Identity(P0, 3)
    assert keepers(made).archive.holding(identity) == [other]
    run(made, 3)
    assert list(keepers(made).archive.files()) == []
    assert_accounted(made)


STEPS = ["erase.planned", "erase.recorded", "erase.removed", "erase.row_removed"]
STEPS += ["erase.archive_rewritten", "desk.before_step", "desk.after_step"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("offset", [1, 2])
def test_killed_anywhere_and_run_again_it_is_gone(tmp_path: Path, step: str, offset: int) -> None:
    """Half an erase is none: the next one must find what the first has left."""
    made = world(tmp_path)
    if offset == 1:
        purged(made)
    try:
        run(made, offset, dies_at(step))
    except Died:
        assert_accounted(made)
        made.stream(good(9))
        assert_accounted(made)
        run(made, offset)
    plan = plan_erase(keepers(made), at(offset))
    assert not plan.anywhere
    assert plan.erased_at is not None
    assert_accounted(made)


def test_a_second_erase_says_when_the_first_was(tmp_path: Path) -> None:
    """Whoever comes back a week later asks for the date, not for another one."""
    made = world(tmp_path)
    first = run(made, 1)
    second = run(made, 1)
    assert second.physical_at == first.physical_at
    assert len(made.actions()) == 2


@pytest.mark.parametrize(("offset", "name"), [(1, SECRET), (2, OTHER)])
def test_after_vacuum_no_object_holds_it(tmp_path: Path, offset: int, name: str) -> None:
    """The proof is a search of everything, unpacked: a claim alone would be worth nothing."""
    made = world(tmp_path)
    forget_soon(made)
    proof = proof_of(made, offset)
    assert proof.known
    # Of a row, the log keeps statistics; of a dead letter it has none that quote it.
    assert [each for each in proof.left if not each.in_log] == []
    assert proof.gone is (offset == 1)
    assert proof.objects > 10
    files = [path for path in made.folder.rglob("*.parquet") if name in str(path.read_bytes())]
    assert files == []
    assert_accounted(made)


def test_the_search_finds_what_vacuum_has_not_removed_yet(tmp_path: Path) -> None:
    """A search that cannot find it proves nothing when it finds nothing."""
    made = world(tmp_path)
    mine = keepers(made)
    identity = plan_erase(mine, at(1)).identity
    needles = needles_for(mine, identity)
    assert needles.value == broken(1, SECRET)
    assert SECRET.encode() in needles.parts
    run(made, 1)
    found = prove(mine, identity, needles, around())
    assert found is not None
    [old] = [each for each in found.left if not each.in_log]
    assert (old.event, old.value) == (True, True)
    assert ".parquet" in old.where
    # The old file tells what to look for when nobody remembers it any more.
    assert needles_for(mine, identity) == needles


def test_what_the_log_still_says_is_found(tmp_path: Path) -> None:
    """Statistics in the log quote the smallest and the largest value: to hide it would be a lie."""
    made = world(tmp_path)
    forget_soon(made)
    proof = proof_of(made, 2)
    assert proof.only_statistics
    assert {each.where.rsplit("/", 2)[1] for each in proof.left} == {"_delta_log"}
    assert not proof.gone
    assert OTHER not in json.dumps(proof.as_json())


def test_parts_that_others_have_too_prove_nothing(tmp_path: Path) -> None:
    """The time of an order stands in a thousand events; only what was one person's counts."""
    made = world(tmp_path)
    forget_soon(made)
    proof = proof_of(made, 3)
    assert proof.shared
    assert proof.gone


def test_waiting_can_be_stopped(tmp_path: Path) -> None:
    """A week is long."""
    made = world(tmp_path)
    stopped = around()
    stopped.stop.set()  # type: ignore[attr-defined]  # an Event, as above
    report = run(made, 1)
    assert not vacuum_when_due(keepers(made), report, stopped)


def test_the_incarnation_must_be_clear(tmp_path: Path) -> None:
    """A topic that was made again had another event at the same place."""
    made = Letters(tmp_path)
    older = replace(P0, topic_id="b2xkZXItb2xkZXItMTE")
    made.stream(good(0), partition=older)
    made.log = MemoryLog([])
    made.decisions = Decisions(accept_recreated=frozenset({"orders"}))
    made.stream(good(0), broken(1))
    with pytest.raises(ConfigurationError, match="several topics") as raised:
        plan_erase(keepers(made), at(0))
    assert str(older.topic_id) in raised.value.message
    assert "--topic-id" in raised.value.hint
    assert plan_erase(keepers(made), at(0, older.topic_id)).in_data
    assert plan_erase(keepers(made), at(1)).identity.partition == P0


@pytest.mark.parametrize(
    ("request_", "message", "hint"),
    [
        (EraseRequest("ordres", 0, 1), "know nothing of ordres", "orders"),
        (EraseRequest("orders", 7, 1), "know nothing of orders[7]", "[0]"),
        (EraseRequest("orders", 0, 99), "have not come to", "offset"),
        (EraseRequest("orders", 0, 5), "nothing of orders[0] at 5 is stored", "skipped"),
        (EraseRequest("orders' OR '1'='1", 0, 1), "know nothing", "orders"),
    ],
)
def test_what_is_not_there_is_said(
    tmp_path: Path, request_: EraseRequest, message: str, hint: str
) -> None:
    """An erase that silently did nothing would be believed."""
    made = Letters(tmp_path, "tombstone: skip\n")
    made.stream(good(0), broken(1), good(2), good(3), good(4), None)
    with pytest.raises(StreamProcessorError) as raised:
        plan_erase(keepers(made), request_)
    assert message in raised.value.message
    assert hint in raised.value.hint
    assert len(made.letters()) == 1


def test_a_half_written_event_is_not_erased(tmp_path: Path) -> None:
    """The restart would read it from Kafka again, and it would be back."""
    made = world(tmp_path)
    made.half_written(broken(4, SECRET))
    with pytest.raises(StreamProcessorError, match="have not come to"):
        run(made, 4)


def test_a_topic_without_ids_is_erased_by_its_name(tmp_path: Path) -> None:
    """With `topic_identity: name` the id column is null, which no equality ever meets."""
    made = Letters(tmp_path)
    nameless = Partition("orders", None, 0)
    made.stream(good(0), broken(1), partition=nameless)
    run(made, 1)
    run(made, 0)
    assert made.letters() == []
    assert made.rows() == []
    assert_accounted(made)


@pytest.mark.parametrize(
    "selector",
    [
        Selector(stage="parse"),
        Selector(code="json.syntax"),
        Selector(topic="orders", code="json.syntax"),
        Selector(stage="parse", status="open"),
    ],
)
def test_files_that_were_written_again_are_read_like_all_others(
    tmp_path: Path, selector: Selector
) -> None:
    """The library writes texts as views then, which Arrow does not compare with a string."""
    made = world(tmp_path)
    made.stream(b"{", broken(5), b"\xff", good(7))
    run(made, 5)
    batches = open_letters(made.tables).read(selector, ["offset", "topic_id"])
    assert [row for batch in batches for row in batch["offset"].to_pylist()] == [4]


def test_a_restart_finds_its_half_written_batch_in_a_file_that_was_written_again(
    tmp_path: Path,
) -> None:
    """Or the stream could not start, or would read the event once more."""
    made = world(tmp_path)
    other = replace(P0, topic="others", topic_id="b3RoZXJzLW90aGVycy0xMQ")
    made.stream(broken(4), partition=other)
    made.stream(broken(5), broken(6))
    made.half_written(broken(7))
    for uri in (made.tables.dead_letters, made.tables.data):
        DeltaTable(uri).optimize.compact()
    run(made, 1)
    made.stream(good(8))
    assert [each["offset"] for each in made.letters() if each["topic"] == "orders"] == [3, 4, 5, 6]
    assert made.verify().clean
