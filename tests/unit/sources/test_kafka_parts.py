"""The parts of the Kafka source that need no broker."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, Message, Uuid
from pydantic import SecretStr

from stream_processor.config.pipeline import KafkaSource as KafkaConfig
from stream_processor.config.pipeline import Security
from stream_processor.errors import (
    BrokerUnavailable,
    ConfigurationError,
    CredentialsRejected,
    OffsetGap,
    StreamProcessorError,
    TableRewound,
    TopicMissing,
)
from stream_processor.ports import Advance, Partition, StartAt
from stream_processor.schema.records import NOT_FETCHED
from stream_processor.sources.kafka_batch import OpenBatch
from stream_processor.sources.kafka_errors import Meaning, as_ours, detail, meaning
from stream_processor.sources.kafka_group import GroupMember
from stream_processor.sources.kafka_log import ClientLog
from stream_processor.sources.kafka_settings import (
    KafkaSettings,
    admin_properties,
    consumer_properties,
)
from stream_processor.sources.kafka_topics import id_text
from stream_processor.sources.kafka_watch import out_of_range
from stream_processor.sources.limits import BatchLimits
from tests.source_worlds import Notes
from tests.unit.runtime.manual_clock import ManualClock

PART = Partition("orders", "id", 0)
OTHER = Partition("orders", "id", 1)


def settings(memory_bytes: int = 2**27, **file: object) -> KafkaSettings:
    return KafkaSettings(
        KafkaConfig(bootstrap_servers="kafka:9092", topics=("orders",), **file),
        group_id="group",
        memory_bytes=memory_bytes,
    )


def record(part: Partition, offset: int) -> Message:
    return Message(
        topic=part.topic, partition=part.partition, offset=offset, value=b"x", timestamp=(1, 5)
    )


def problem(code: int, part: Partition | None = PART, offset: int = -1001) -> Message:
    where = {} if part is None else {"topic": part.topic, "partition": part.partition}
    return Message(error=KafkaError(code), offset=offset, **where)


def opened(limits: BatchLimits | None = None) -> OpenBatch:
    limits = limits or BatchLimits(rows_max=5000, bytes_max=10**6, age_seconds=1)
    starts = {PART: StartAt(0), OTHER: StartAt(0)}
    return OpenBatch(starts, limits, Notes(), ManualClock())


@pytest.mark.parametrize("memory_bytes", [2**20, 16 * 2**20, 128 * 2**20, 2**33])
def test_fetch_sizes_follow_from_the_budget(memory_bytes: int) -> None:
    """What waits in the client must fit the memory that a person allowed, whatever the backlog."""
    found = consumer_properties(settings(memory_bytes))
    waiting = int(found["queued.max.messages.kbytes"]) * 1024
    assert waiting <= max(memory_bytes // 2, 2**20)
    assert int(found["fetch.max.bytes"]) <= max(memory_bytes // 4, 2**20)
    assert int(found["receive.message.max.bytes"]) >= int(found["fetch.max.bytes"]) + 512
    assert int(found["receive.message.max.bytes"]) <= max(memory_bytes, 2**21)


def test_raw_properties_pass_through_but_not_over_the_promise() -> None:
    """A person may tune the client; exactly-once is not among the things to tune."""
    mine = {"fetch.wait.max.ms": "7", "receive.message.max.bytes": "900000000"}
    found = consumer_properties(settings(properties=mine))
    assert mine.items() <= found.items()
    broken = consumer_properties(settings(properties={"isolation.level": "read_uncommitted"}))
    assert broken["isolation.level"] == "read_committed"
    assert broken["auto.offset.reset"] == "error"
    assert "fetch.wait.max.ms" not in admin_properties(settings(properties=mine))


def test_security_reaches_every_client_and_no_repr() -> None:
    """A password in a log is a leak for ever."""
    security = Security(
        protocol="SASL_SSL",
        mechanism="SCRAM-SHA-512",
        username="user",
        password=SecretStr("s3cret"),
        ca_file="/ca.pem",
    )
    made = settings(security=security)
    for properties in (consumer_properties(made), admin_properties(made)):
        assert properties["sasl.password"] == "s3cret"
        assert properties["ssl.ca.location"] == "/ca.pem"
        assert "ssl.key.location" not in properties
    assert "s3cret" not in repr(made)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("_ALL_BROKERS_DOWN", BrokerUnavailable),
        ("_TIMED_OUT", BrokerUnavailable),
        ("NOT_COORDINATOR", BrokerUnavailable),
        ("_AUTHENTICATION", CredentialsRejected),
        ("SASL_AUTHENTICATION_FAILED", CredentialsRejected),
        ("TOPIC_AUTHORIZATION_FAILED", CredentialsRejected),
        ("GROUP_AUTHORIZATION_FAILED", CredentialsRejected),
        ("UNKNOWN_TOPIC_OR_PART", TopicMissing),
        ("_UNKNOWN_TOPIC", TopicMissing),
        ("FENCED_INSTANCE_ID", ConfigurationError),
    ],
)
def test_every_failed_request_becomes_one_of_ours(
    name: str, expected: type[StreamProcessorError]
) -> None:
    """The engine goes by the class alone; a person gets a sentence and a hint."""
    error = as_ours(KafkaError(getattr(KafkaError, name)), "list offsets")
    assert type(error) is expected
    assert name in error.message
    assert error.hint


def test_foreign_words_are_bounded_and_printable() -> None:
    """What the client says comes from the network, and ends on a terminal."""
    words = detail(KafkaError(KafkaError._RESOLVE, "\x1b]52;c;AAAA\x07" + "x" * 5000))
    assert words.isprintable()
    assert len(words) < 400


def test_what_follows_an_unreadable_batch_is_not_taken() -> None:
    """The client goes on behind a wrong checksum: its next records would seal a hole."""
    batch = opened()
    batch.take(
        [
            record(PART, 0),
            record(OTHER, 0),
            problem(KafkaError._BAD_MSG, PART, 1),
            record(PART, 2),
            record(OTHER, 1),
            problem(KafkaError._PARTITION_EOF, PART, 3),
        ]
    )
    assert batch.misread == {0}
    closed = batch.close()
    assert closed.upto == {PART: 1, OTHER: 2}
    assert closed.records.num_rows == 3


def test_a_partition_is_stuck_after_three_failures_at_one_offset() -> None:
    """Bits may flip on the wire, so a failure is tried again; for ever would be silence."""
    batch = opened()
    for _ in range(2):
        batch.take([problem(KafkaError._BAD_COMPRESSION)])
    batch.take([record(OTHER, 0)])
    assert batch.stuck == {}
    batch.take([problem(KafkaError._BAD_COMPRESSION)])
    assert batch.stuck[0].offset == 0
    assert batch.live == {1}


def test_a_record_too_large_to_fetch_whose_offset_is_named_is_delivered_without_its_bytes() -> None:
    """One record must not stop its partition when it is known exactly which one it is."""
    batch = opened()
    batch.take([record(PART, 0)])
    for _ in range(3):
        batch.take([problem(KafkaError.MSG_SIZE_TOO_LARGE, PART, 1)])
    assert batch.stuck == {}
    assert batch.misread == {0}
    batch.misread.clear()
    batch.take([record(PART, 2)])
    closed = batch.close()
    assert closed.upto[PART] == 3
    assert closed.records.column("offset").to_pylist() == [0, 1, 2]
    assert closed.records.column("timestamp_type").to_pylist() == [1, NOT_FETCHED, 1]
    assert closed.records.column("value").to_pylist() == [b"x", None, b"x"]
    assert closed.records.column("timestamp").to_pylist()[1] is None


def test_a_record_too_large_at_another_offset_silences_its_partition() -> None:
    """What is named must be the very next record, or others would be jumped over."""
    batch = opened()
    for _ in range(3):
        batch.take([problem(KafkaError.MSG_SIZE_TOO_LARGE, PART, 5)])
    assert batch.stuck[0].offset == 0
    assert batch.close().records.num_rows == 0


def test_progress_forgives_failures() -> None:
    """Three failures in a year are not three failures of one batch."""
    batch = opened()
    for offset in range(9):
        batch.take([problem(KafkaError._BAD_MSG)])
        batch.misread.clear()
        batch.take([record(PART, offset)])
    assert batch.stuck == {}


@pytest.mark.parametrize("part", [PART, None])
def test_passing_errors_are_noted_and_change_nothing(part: Partition | None) -> None:
    """librdkafka mends most by itself; a restart of the pipeline would only disturb."""
    batch = opened()
    batch.take([record(PART, 0), problem(KafkaError._MAX_POLL_EXCEEDED, part), record(PART, 1)])
    assert batch.close().upto[PART] == 2


def test_rejection_in_the_middle_of_the_stream_is_raised() -> None:
    """Rights that were taken away are a person's business, and not an end of the data."""
    with pytest.raises(CredentialsRejected):
        opened().take([problem(KafkaError.TOPIC_AUTHORIZATION_FAILED)])


def test_large_records_make_small_fetches() -> None:
    """A thousand records of a megabyte each would be a gigabyte in one fetch."""
    batch = opened(BatchLimits(rows_max=5000, bytes_max=10_000, age_seconds=1))
    assert batch.room == 1000
    big = Message(topic="orders", partition=0, offset=0, value=b"x" * 4000, timestamp=(1, 5))
    batch.take([big])
    assert batch.room == 2


def test_being_out_of_range_has_two_meanings() -> None:
    """Retention and truncation ask for different decisions of a person."""
    assert isinstance(out_of_range(PART, 3, 5, 9), OffsetGap)
    assert isinstance(out_of_range(PART, 10, 5, 9), TableRewound)
    assert out_of_range(PART, 5, 5, 9) is None
    assert out_of_range(PART, 9, 5, 9) is None


def test_a_flood_of_client_lines_is_counted_not_repeated() -> None:
    """A broker that is away makes librdkafka repeat itself every second for hours."""
    notes, clock = Notes(), ManualClock()
    log = ClientLog(notes, clock)
    for _ in range(100):
        log.log(40, "%s [%s] %s", "FAIL", "client", "refused")
        log.client_error(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    assert len(notes.events) == 2
    clock.seconds += 11
    log.log(40, "%s [%s] %s", "FAIL", "client", "refused")
    assert notes.events[-1][1]["left_out"] == 99
    assert log.away_since is not None
    log.in_contact()
    assert log.away_since is None


def test_every_listed_code_exists_and_has_one_meaning() -> None:
    """A typing error in the list would turn a lasting failure into a passing one."""
    for name, expected in {
        "_PARTITION_EOF": Meaning.END_OF_PARTITION,
        "_AUTO_OFFSET_RESET": Meaning.OUT_OF_RANGE,
        "_LOG_TRUNCATION": Meaning.OUT_OF_RANGE,
        "MSG_SIZE_TOO_LARGE": Meaning.UNREADABLE,
        "_TRANSPORT": Meaning.AWAY,
        "REBALANCE_IN_PROGRESS": Meaning.PASSING,
    }.items():
        assert meaning(KafkaError(getattr(KafkaError, name))) is expected


def test_a_broker_without_topic_ids_is_no_broker_for_them() -> None:
    """Its nil id is the same for every topic: their offsets would be taken for each other's."""
    assert id_text("orders", Uuid(1, 2)) == str(Uuid(1, 2))
    with pytest.raises(BrokerUnavailable, match="does not tell the id of topic orders") as caught:
        id_text("orders", Uuid(0, 0))
    assert "topic_identity: name" in caught.value.hint


def test_an_offset_that_comes_after_the_end_of_the_consumer_changes_no_ending() -> None:
    """It is a hint; raised while closing, it would hide why the process ends, and its exit code."""
    log = ClientLog(Notes(), ManualClock())
    member = GroupMember(settings(), log, on_revoke=lambda: None)
    member.owned = {("orders", 0)}
    member.close()
    member.commit({PART: Advance(0, 1)})
    member.close()
