"""Zombies, rebalances under load and first starts of several processes, on real Kafka and MinIO."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.world import (
    NEW_SCHEMA,
    Job,
    merged,
    pipeline_dict,
    produce,
    prove,
    reached,
    stop,
    storage_dict,
    wait_until,
)
from tests.stack import Kafka, MakeTopic, Minio

pytestmark = pytest.mark.stack


@pytest.fixture
def member(kafka: Kafka, minio: Minio, bucket_url: str, tmp_path: Path) -> Callable[..., Job]:
    """A process of the group of one topic; each has a name of its own."""

    def make(topic: str, name: str, **kafka_settings: object) -> Job:
        pipeline = pipeline_dict(
            kafka.bootstrap_servers, topic, f"{bucket_url}/orders", storage_dict(minio)
        )
        source = pipeline["source"]["kafka"]
        source.update(kafka_settings)
        return Job(tmp_path, pipeline, name=name, until_latest=False)

    return make


def test_a_bounded_run_ends_though_another_process_owns_everything(
    topic: MakeTopic, member: Callable[..., Job]
) -> None:
    """A nightly job that finds a running pipeline must not wait for its end, which never comes."""
    name = topic(partitions=1)
    owner = member(name, "owner")
    running = owner.start()
    wait_until(lambda: "claimed" in owner.log(), "the owner claimed nothing")
    spare = member(name, "spare").with_(until_latest=True)
    assert spare.run() == 0, spare.log()
    assert "own every partition" in spare.log()
    assert stop(running) == 0, owner.log()


def holds(job: Job, step: str) -> Callable[[], bool]:
    return lambda: job.steps_file.exists() and step in job.steps_file.read_text()


def test_a_zombie_that_wakes_up_writes_nothing(
    kafka: Kafka, topic: MakeTopic, member: Callable[..., Job], storage_options: dict[str, str]
) -> None:
    """Stopped just before its data commit, it wakes up after another process took over."""
    name = topic(partitions=2)
    sent = produce(kafka.bootstrap_servers, name, 1000)
    zombie_job = member(name, "zombie").with_(
        kill={"step": "data.before_commit", "count": 2, "signal": "SIGSTOP"}
    )
    zombie = zombie_job.start()
    wait_until(lambda: _stopped(zombie.pid), "the zombie did not stop itself")
    heir = member(name, "heir").with_(schema=NEW_SCHEMA)
    assert heir.with_(until_latest=True).run() == 0, heir.log()
    more = produce(kafka.bootstrap_servers, name, 400, seed=1)
    zombie.send_signal(signal.SIGCONT)
    # Awake again, its commit fails, and it joins the group like anybody else.
    wait_until(lambda: "commit_failed {'kind': 'Fenced'}" in zombie_job.log(), "it was not fenced")
    wait_until(lambda: reached(zombie_job) >= 1400, "the zombie did not go on", 90)
    assert stop(zombie) == 0, zombie_job.log()
    prove(heir, storage_options, merged(sent, more))


def test_processes_come_and_go_under_load(
    kafka: Kafka, topic: MakeTopic, member: Callable[..., Job], storage_options: dict[str, str]
) -> None:
    """Rebalances move partitions between two, three and two processes while events arrive."""
    name = topic(partitions=6)
    first, second, third = (member(name, who) for who in ("first", "second", "third"))
    running = {first.name: first.start()}
    parts = [produce(kafka.bootstrap_servers, name, 1200, partitions=6)]
    wait_until(holds(first, "data.after_commit"), "the first did not commit")
    for number, job in enumerate((second, third), start=1):
        running[job.name] = job.start()
        parts.append(produce(kafka.bootstrap_servers, name, 1200, partitions=6, seed=number))
        wait_until(holds(job, "data.after_claim"), f"{job.name} was given nothing", said=job.log)
        parts.append(produce(kafka.bootstrap_servers, name, 600, partitions=6, seed=10 + number))
    running.pop("first").kill()
    parts.append(produce(kafka.bootstrap_servers, name, 600, partitions=6, seed=20))
    assert stop(running.pop("second")) == 0, second.log()
    total = sum(len(sent) for part in parts for sent in part.values())
    assert stop(running.pop("third")) == 0, third.log()
    first.with_(name="last", pipeline=member(name, "last").pipeline).finish()
    assert total == 5400
    prove(third, storage_options, merged(*parts))


def test_two_processes_start_first_with_latest(
    kafka: Kafka, topic: MakeTopic, member: Callable[..., Job], storage_options: dict[str, str]
) -> None:
    """`latest` is one moment for the whole topic: nobody may take the other's half for new."""
    name = topic(partitions=4)
    produce(kafka.bootstrap_servers, name, 400, partitions=4)
    jobs = [member(name, who, start="latest") for who in ("left", "right")]
    running = [job.start() for job in jobs]
    wait_until(lambda: all(holds(job, "data.rechecked")() for job in jobs), "not both claimed")
    later = produce(kafka.bootstrap_servers, name, 800, partitions=4, seed=1)
    wait_until(
        lambda: reached(*jobs) >= 1200,
        "not all was read",
        90,
        said=lambda: "\n".join(job.log()[-2000:] for job in jobs),
    )
    for process in running:
        assert stop(process) == 0
    prove(jobs[0], storage_options, later)


def test_two_processes_start_first_with_latest_on_the_topics_of_a_pattern(
    kafka: Kafka, topic: MakeTopic, member: Callable[..., Job], storage_options: dict[str, str]
) -> None:
    """A topic that only the second process owns was there at the first start too."""
    names = sorted(topic(partitions=1) for _ in range(2))
    for name in names:
        produce(kafka.bootstrap_servers, name, 200, partitions=1)
    pattern = f"^({'|'.join(names)})$"
    jobs = [
        member(names[0], who, start="latest", topics=[], topics_regex=pattern)
        for who in ("left", "right")
    ]
    running = [job.start() for job in jobs]
    wait_until(lambda: all(holds(job, "data.rechecked")() for job in jobs), "not both claimed")
    later = [
        produce(kafka.bootstrap_servers, name, 300, partitions=1, seed=seed)
        for seed, name in enumerate(names, start=1)
    ]
    wait_until(lambda: reached(*jobs) >= 1000, "not all was read", 90)
    for process in running:
        assert stop(process) == 0
    prove(jobs[0], storage_options, merged(*later))


def _stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
