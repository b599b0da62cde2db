"""Maintenance on real Kafka and MinIO: beside a stream, killed by kill -9 at each step."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from tests.crash.world import (
    OLD_SCHEMA,
    STARTED,
    Job,
    merged,
    pipeline_dict,
    produce,
    prove,
    reached,
    storage_dict,
    wait_until,
)
from tests.stack import Kafka, MakeTopic, Minio

pytestmark = pytest.mark.stack

STEPS = (
    "fold.before_step",
    "fold.after_step",
    "compact.turn_taken",
    "compact.before_step",
    "compact.after_step",
    "vacuum.before",
    "vacuum.after",
    "clean.after_chunk",
)


@dataclass(frozen=True)
class World:
    """A pipeline as the driver of the stream takes it, and the same as a file for the verb."""

    job: Job
    storage_options: Mapping[str, str]

    @property
    def topic(self) -> str:
        return str(self.job.pipeline["source"]["kafka"]["topics"][0])

    @property
    def path(self) -> Path:
        return self.job.folder / "pipeline.yaml"

    def write_files(self) -> None:
        self.path.write_text(json.dumps({**self.job.pipeline, "schema": {"file": "schema.json"}}))
        (self.job.folder / "schema.json").write_text(json.dumps(OLD_SCHEMA))

    def table(self, suffix: str = "") -> DeltaTable:
        return DeltaTable(f"{self.job.table}{suffix}", storage_options=dict(self.storage_options))

    def events(self) -> int:
        """How many are in one of the tables."""
        return sum(each.count() for each in (self.table(), self.table("__dlq")))

    def is_joined(self) -> bool:
        """Few files are left."""
        return 0 < len(self.table().file_uris()) < 8

    def maintain(self, days: float, step: str | None = None) -> tuple[int, dict[str, Any]]:
        """One life of a maintenance: its exit code, negative for a signal, and its report."""
        path = self.job.folder / "maintain.json"
        kill = {} if step is None else {"kill": {"step": step}}
        path.write_text(json.dumps({"pipeline": str(self.path), "days": days, **kill}))
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.maintain_driver", str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        STARTED.append(process)  # type: ignore[arg-type]  # pipes of bytes, as all of them
        out, err = process.communicate(timeout=120)
        assert process.returncode in (0, -9), err.decode() + out.decode()
        return process.returncode, json.loads(out) if out else {}


@pytest.fixture
def world(
    kafka: Kafka,
    minio: Minio,
    topic: MakeTopic,
    bucket_url: str,
    storage_options: dict[str, str],
    tmp_path: Path,
) -> World:
    pipeline = pipeline_dict(
        kafka.bootstrap_servers, topic(partitions=2), f"{bucket_url}/orders", storage_dict(minio)
    )
    pipeline["sink"]["delta"]["commit"] = {"every": "100ms", "max_records": 20}
    made = World(Job(tmp_path, pipeline), storage_options)
    made.write_files()
    return made


def test_a_stream_does_not_notice_it(kafka: Kafka, world: World) -> None:
    """Joined, vacuumed, folded and cleaned under a running stream, and killed at every step: it is
    never fenced, but where a turn was taken over, and nothing is lost or double."""
    sent = [produce(kafka.bootstrap_servers, world.topic, 600)]
    world.job.finish()
    for suffix in ("", "__dlq"):
        soon = {"delta.deletedFileRetentionDuration": "interval 0 seconds"}
        world.table(suffix).alter.set_table_properties(soon)
    stream = world.job.with_(until_latest=False).start()
    # Without a death no turn is taken over, so there is no reason for the stream to notice.
    sent.append(produce(kafka.bootstrap_servers, world.topic, 300, seed=1))
    for day in (0, 1):
        wait_until(lambda: reached(world.job) >= 600, "no progress", said=world.job.log)
        code, report = world.maintain(day + 31)
        assert (code, report["tables"][0]["folded"] > 0) == (0, True)
        sent.append(produce(kafka.bootstrap_servers, world.topic, 300, seed=day + 2))
    assert "Fenced" not in world.job.log()
    assert report["tables"][0]["cleaned"] > 0
    for number, step in enumerate(STEPS):
        sent.append(produce(kafka.bootstrap_servers, world.topic, 200, seed=10 + number))
        world.maintain(33 + number, step)
    wait_until(lambda: reached(world.job) >= 600, "no progress", said=world.job.log)
    assert stream.poll() is None, world.job.log()
    stream.terminate()
    assert stream.wait(60) == 0, world.job.log()
    world.job.finish()
    world.maintain(60)
    prove(world.job, world.storage_options, merged(*sent))
    assert_kept(world)


def assert_kept(world: World) -> None:
    """What the cleaned log said is in the table beside, once: every offset in one range."""
    kept = pa.table(world.table("__offsets").to_pyarrow_table()).to_pylist()
    for partition in (0, 1):
        found = sorted(
            (row["from_offset"], row["to_offset"]) for row in kept if row["partition"] == partition
        )
        assert [low for low, _ in found] == [0, *(high for _, high in found[:-1])]
    live = world.table().to_pyarrow_table().num_rows
    assert sum(row["rows"] for row in kept) == live
    assert len(world.table().file_uris()) < 10


def test_a_cron_job_by_the_command_line(kafka: Kafka, world: World) -> None:
    """What an operator sets up: the verb, its JSON, and its exit code."""
    sent = produce(kafka.bootstrap_servers, world.topic, 400)
    world.job.finish()
    before = len(world.table().file_uris())
    command = [sys.executable, "-m", "stream_processor.main", "maintain", str(world.path)]
    planned = subprocess.run([*command, "--json"], capture_output=True, check=True, timeout=120)
    assert json.loads(planned.stdout)["tables"][0]["small"] == before
    done = subprocess.run(
        [*command, "--apply", "--json"], capture_output=True, check=True, timeout=120
    )
    assert json.loads(done.stdout)["tables"][0]["joined"] == before > 8
    assert len(world.table().file_uris()) == 1
    prove(world.job, world.storage_options, sent)


def test_a_stream_keeps_its_own_tables(kafka: Kafka, world: World) -> None:
    """`maintenance.enabled`: joined every second or so while it commits ten times a second."""
    sent = [produce(kafka.bootstrap_servers, world.topic, 400, seed=9)]
    world.job.finish()
    pipeline = {
        **world.job.pipeline,
        "maintenance": {"enabled": True, "every": "1s"},
        "schema": {"file": "schema.json"},
    }
    world.path.write_text(json.dumps(pipeline))
    log = world.job.folder / "run.log"
    with log.open("ab") as said:
        command = [sys.executable, "-m", "stream_processor.main", "run", str(world.path)]
        stream = subprocess.Popen(command, stdout=said, stderr=said)
    STARTED.append(stream)
    for seed in range(2):
        sent.append(produce(kafka.bootstrap_servers, world.topic, 400, seed=seed))
        wait_until(world.is_joined, "small files are not joined", said=log.read_text)
    wait_until(lambda: world.events() == 1200, "not all is there", said=log.read_text)
    stream.terminate()
    assert stream.wait(60) == 0, log.read_text()
    assert "fenced" not in log.read_text().lower()
    world.job.finish()
    prove(world.job, world.storage_options, merged(*sent))
    optimized = [each for each in world.table().history() if each["operation"] == "OPTIMIZE"]
    assert optimized
