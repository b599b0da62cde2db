"""Topics whose offsets have holes by nature: transactional, compacted, idle behind a marker."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from stream_processor.config.pipeline import Pipeline
from stream_processor.operations.kafka_readers import holes_reader
from stream_processor.operations.local_stack import RunningKafka
from stream_processor.operations.snapshots import Tables, tables_of
from stream_processor.operations.status import status
from stream_processor.operations.verify import verify
from stream_processor.operations.verify_report import VerifyReport
from stream_processor.sources.kafka_admin import create_topic
from tests.audit import Account, At, Sent, audit
from tests.audit import Tables as AuditTables
from tests.chaos.producer import ends, log_of
from tests.crash.world import (
    Job,
    pipeline_dict,
    reached,
    stop,
    storage_dict,
    topic_id,
    wait_until,
)
from tests.stack import Kafka, MakeTopic, Minio

pytestmark = pytest.mark.stack

GOOD = b'{"id": 1, "amount": "7"}'
BROKEN = b'{"id": 1, "amount"'
MakeJob = Callable[[str, str], Job]


@pytest.fixture
def make_job(minio: Minio, bucket_url: str, tmp_path: Path) -> MakeJob:
    """`make_job(bootstrap_servers, topic)`: a run until latest."""

    def make(servers: str, topic: str) -> Job:
        table = f"{bucket_url}/orders"
        return Job(tmp_path, pipeline_dict(servers, topic, table, storage_dict(minio)))

    return make


def transaction(servers: str, topic: str, values: list[bytes], end: str) -> dict[int, Sent]:
    """These events in one transaction of partition 0, ended as asked; where they landed."""
    landed: dict[int, Sent] = {}

    def delivered(error: object, message: object) -> None:
        assert error is None, error
        landed[message.offset()] = Sent(message.key(), message.value())  # type: ignore[attr-defined]  # confluent_kafka has no public type of it

    producer = Producer({"bootstrap.servers": servers, "transactional.id": uuid.uuid4().hex})
    producer.init_transactions(30)
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value, b"key", partition=0, on_delivery=delivered)
    assert producer.flush(30) == 0
    getattr(producer, f"{end}_transaction")(30)
    return landed


def proven(
    job: Job, storage_options: Mapping[str, str], sent: Mapping[At, Mapping[int, Sent | None]]
) -> tuple[VerifyReport, dict[At, Account]]:
    """`verify` that asks Kafka again, and the audit: both clean, and of one opinion."""
    pipeline = Pipeline.model_validate(job.pipeline)
    report = verify(tables_of(pipeline), holes_reader(pipeline))
    assert report.clean, (report.conclusion, report.findings)
    assert report.total(lambda each: each.unchecked or 0) == 0
    name = pipeline.pipeline_id
    accounts = audit(
        AuditTables(name, job.table, f"{job.table}__dlq", storage_options), sent, list(sent)
    )
    assert {At(p.topic_id or "", p.partition): p.holes for p in report.partitions} == {
        at: account.holes for at, account in accounts.items()
    }
    return report, accounts


def tables(job: Job) -> Tables:
    return tables_of(Pipeline.model_validate(job.pipeline))


def lag_of(job: Job) -> int | None:
    reader = holes_reader(Pipeline.model_validate(job.pipeline))
    return status(tables(job), reader.ends).lag


def test_only_committed_transactions_become_rows(
    kafka: Kafka, topic: MakeTopic, make_job: MakeJob, storage_options: dict[str, str]
) -> None:
    """Aborted events were never sent: no row, no dead letter, and no loss either."""
    name, servers = topic(partitions=1), kafka.bootstrap_servers
    job = make_job(servers, name)
    at = At(topic_id(servers, name), 0)
    sent: dict[int, Sent | None] = {}
    for number in range(20):
        values = [BROKEN if n % 3 == number % 3 else GOOD for n in range(1 + number % 5)]
        end = "abort" if number % 4 == 1 else "commit"
        landed = transaction(servers, name, values, end)
        sent |= landed if end == "commit" else {}
        if number in {6, 13}:
            job.finish()  # it begins again in the midst of markers and aborted events
    job.finish()
    report, accounts = proven(job, storage_options, {at: sent})
    account = accounts[at]
    assert account.rows + account.dead == len(sent)
    assert account.dead > 0
    # One marker for each transaction, and the aborted events.
    assert account.holes == account.upto - len(sent) > 20
    assert report.total(lambda each: each.holes) == account.holes
    assert lag_of(job) == 0


def test_an_idle_topic_that_ends_in_a_marker_is_done(
    kafka: Kafka, topic: MakeTopic, make_job: MakeJob, storage_options: dict[str, str]
) -> None:
    """Nothing will ever arrive behind the marker, so waiting for a record would never end."""
    name, servers = topic(partitions=2), kafka.bootstrap_servers
    job = make_job(servers, name)
    at = At(topic_id(servers, name), 0)
    landed = dict(transaction(servers, name, [GOOD, BROKEN], "commit"))
    sent = {at: landed, at._replace(partition=1): {}}
    transaction(servers, name, [GOOD], "abort")
    job.finish()
    assert lag_of(job) == 0
    _, accounts = proven(job, storage_options, sent)
    assert accounts[at] == Account(0, 5, rows=1, dead=1, holes=3, skipped=0, expired=0)
    transaction(servers, name, [GOOD], "abort")  # only holes are new
    job.finish()
    assert lag_of(job) == 0
    _, accounts = proven(job, storage_options, sent)
    assert accounts[at].holes == 5


def test_lag_of_a_running_pipeline_goes_to_zero_behind_a_marker(
    kafka: Kafka, topic: MakeTopic, make_job: MakeJob, storage_options: dict[str, str]
) -> None:
    """A batch without a record must be committed too, or a healthy topic shows lag for ever."""
    name, servers = topic(partitions=1), kafka.bootstrap_servers
    job = make_job(servers, name).with_(until_latest=False)
    at = At(topic_id(servers, name), 0)
    sent = transaction(servers, name, [GOOD, BROKEN], "commit")
    process = job.start()
    wait_until(lambda: reached(job) >= 2, "the events were not settled")
    transaction(servers, name, [GOOD], "abort")
    wait_until(lambda: lag_of(job) == 0, "lag stays", said=lambda: str(lag_of(job)))
    assert stop(process) == 0, job.log()
    proven(job, storage_options, {at: dict(sent)})


def test_a_compacted_topic_is_read_whole_with_its_holes(
    own_kafka: Callable[..., RunningKafka], make_job: MakeJob, storage_options: dict[str, str]
) -> None:
    """What compaction removed before we came is a hole; what it removes later we hold already."""
    servers = own_kafka(log_cleaner_backoff_ms="200").bootstrap_servers
    job, sent = make_job(servers, "compacted"), Compacted(servers)
    sent.send(60)
    kept = sent.compact()
    job.finish()
    _, accounts = proven(job, storage_options, {sent.at: kept})
    first = accounts[sent.at]
    assert first.holes == first.upto - len(kept) > 0
    sent.send(60)
    job.finish()
    second = proven(job, storage_options, {})[1][sent.at]
    assert second.holes == first.holes
    assert len(sent.compact()) < second.rows + second.dead, "nothing that we hold was compacted"
    assert proven(job, storage_options, {})[1][sent.at] == second
    job.finish()  # reads the few events that closed segments
    assert proven(job, storage_options, {})[1][sent.at].holes >= first.holes


class Compacted:
    """The one partition of a topic: five keys, sent again and again, and compacted on demand."""

    def __init__(self, servers: str) -> None:
        config = {"segment.ms": "300", "retention.ms": "-1", "max.compaction.lag.ms": "300"}
        create_topic(servers, "compacted", 1, {**config, "min.cleanable.dirty.ratio": "0.001"})
        self.at = At(topic_id(servers, "compacted"), 0)
        self._servers = servers
        self._producer = Producer({"bootstrap.servers": servers})

    def send(self, count: int) -> None:
        for number in range(count):
            value = BROKEN if number % 7 == 0 else GOOD
            self._producer.produce("compacted", value, b"key-%d" % (number % 5), partition=0)
        assert self._producer.flush(30) == 0

    def compact(self) -> dict[int, Sent | None]:
        """What is left after the cleaner has been there; then it comes no more."""
        end = ends(self._servers, "compacted", 1)[0]

        def cleaned() -> bool:
            # Only a closed segment is compacted, and it is closed by a later event.
            self._producer.produce("compacted", GOOD, b"tick", partition=0)
            assert self._producer.flush(30) == 0
            kept = log_of(self._servers, "compacted", 0)
            return sum(1 for offset in kept if offset < end) <= end // 4

        self._policy("compact")
        wait_until(cleaned, "nothing was compacted", 90)
        self._policy("delete")  # nothing is so old that it would be deleted
        return dict(log_of(self._servers, "compacted", 0))

    def _policy(self, policy: str) -> None:
        admin = AdminClient({"bootstrap.servers": self._servers})
        entry = ConfigEntry("cleanup.policy", policy, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, "compacted", incremental_configs=[entry])
        [done] = admin.incremental_alter_configs([resource]).values()
        done.result(30)
