"""Purge and erase on real Kafka and MinIO: beside a stream, killed by kill -9, in two stores."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from stream_processor.config.pipeline import StorageConfig
from stream_processor.errors import CredentialsRejected
from stream_processor.operations.local_stack import RunningMinio
from stream_processor.operations.snapshots import Tables
from stream_processor.operations.verify import verify
from stream_processor.runtime.object_store import open_store
from tests.crash.world import (
    OLD_SCHEMA,
    STARTED,
    Job,
    merged,
    pipeline_dict,
    produce,
    prove,
    storage_dict,
)
from tests.stack import Kafka, MakeTopic, Minio, minio_of

pytestmark = pytest.mark.stack

PURGE_STEPS = ("purge.archived", "purge.recorded", "purge.removed")
ERASE_STEPS = ("erase.recorded", "erase.removed", "erase.row_removed", "erase.archive_rewritten")


@dataclass(frozen=True)
class World:
    """A pipeline as the driver of the stream takes it, and the same as a file for the verbs."""

    job: Job
    storage_options: Mapping[str, str]

    @property
    def path(self) -> Path:
        return self.job.folder / "pipeline.yaml"

    @property
    def topic(self) -> str:
        return str(self.job.pipeline["source"]["kafka"]["topics"][0])

    def write_files(self) -> None:
        self.path.write_text(json.dumps({**self.job.pipeline, "schema": {"file": "schema.json"}}))
        (self.job.folder / "schema.json").write_text(json.dumps(OLD_SCHEMA))

    def remove(self, step: str | None = None, **job: Any) -> int:
        """One life of a purge, or of an erase; its exit code, negative for a signal."""
        path = self.job.folder / "removal.json"
        kill = {} if step is None else {"kill": {"step": step}}
        path.write_text(json.dumps({"pipeline": str(self.path), **kill, **job}))
        with (self.job.folder / "removal.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.crash.removal_driver", str(path)],
                stdout=log,
                stderr=log,
            )
        STARTED.append(process)
        return process.wait(120)

    def log(self) -> str:
        return (self.job.folder / "removal.log").read_text() + self.job.log()

    def rows(self, suffix: str = "") -> list[dict[str, Any]]:
        uri = f"{self.job.table}{suffix}"
        table = DeltaTable(uri, storage_options=dict(self.storage_options))
        return list(table.to_pyarrow_table().to_pylist())

    def run_cli(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "stream_processor.main", *words]
        return subprocess.run(
            [*command, "--pipeline", str(self.path)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


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
    made = World(Job(tmp_path, pipeline), storage_options)
    made.write_files()
    return made


def test_a_stream_lives_through_all_of_it(kafka: Kafka, world: World) -> None:
    """A removal fences the stream for a moment: it goes on, and nothing is lost or double."""
    sent = [produce(kafka.bootstrap_servers, world.topic, 300)]
    world.job.finish()
    stream = world.job.with_(until_latest=False).start()
    for number, step in enumerate(PURGE_STEPS, start=1):
        sent.append(produce(kafka.bootstrap_servers, world.topic, 200, seed=number))
        assert world.remove(step) == -9, f"{step} was never reached: {world.log()}"
    assert world.remove() == 0, world.log()
    purged = {row["offset"]: row for row in world.rows("__dlq_actions")}
    letter = next(row for row in purged.values() if row["action"] == "purged")
    row = world.rows()[0]
    places = [
        {name: letter[name] for name in ("topic", "partition", "offset")},
        {name: row[f"_kafka_{name}"] for name in ("topic", "partition", "offset")},
    ]
    for number, step in enumerate(ERASE_STEPS, start=10):
        sent.append(produce(kafka.bootstrap_servers, world.topic, 100, seed=number))
        for place in places:
            assert world.remove(step, erase=place) in (-9, 0), world.log()
    for place in places:
        assert world.remove(erase=place) == 0, world.log()
    assert stream.poll() is None, world.job.log()
    stream.terminate()
    assert stream.wait(60) == 0, world.job.log()
    world.job.finish()
    prove(world.job, world.storage_options, merged(*sent))
    assert "Fenced" in world.job.log()
    for place in places:
        for name, prefix in (("", "_kafka_"), ("__dlq", "")):
            found = [
                each
                for each in world.rows(name)
                if all(each[f"{prefix}{column}"] == value for column, value in place.items())
            ]
            assert found == []


def test_dead_letters_in_a_store_of_their_own(
    kafka: Kafka, world: World, minio: Minio, own_minio: Callable[..., RunningMinio]
) -> None:
    """Whoever may read rows need not be able to read payloads: another server, other keys."""
    vault = minio_of(own_minio())
    bucket = vault.create_bucket()
    assert vault.secret_key != minio.secret_key
    letters = f"s3://{bucket}/letters"
    pipeline = {
        **world.job.pipeline,
        "dlq": {"table": letters, "storage": storage_dict(vault)},
    }
    apart = World(Job(world.job.folder, pipeline), world.storage_options)
    apart.write_files()
    produce(kafka.bootstrap_servers, apart.topic, 300)
    apart.job.finish()
    ours, theirs = (StorageConfig.model_validate(storage_dict(each)) for each in (minio, vault))
    tables = Tables("crash", apart.job.table, letters, ours, theirs)
    before = verify(tables)
    assert before.clean
    assert before.total(lambda p: p.dead_letters) > 30
    vault_table = DeltaTable(letters, storage_options=vault.storage_options)
    row = vault_table.to_pyarrow_table().to_pylist()[0]
    place = ("--topic", row["topic"], "--partition", str(row["partition"]))
    erased = apart.run_cli("dlq", "erase", *place, "--offset", str(row["offset"]), "--yes")
    assert erased.returncode == 0, erased.stderr
    purged = apart.run_cli("dlq", "purge", "--before", "2100-01-01", "--include-open", "--yes")
    assert purged.returncode == 0, purged.stderr
    apart.job.finish()
    after = verify(tables)
    assert after.clean, after.findings
    assert after.total(lambda p: p.ledger) == before.total(lambda p: p.dead_letters)
    assert_apart(bucket, theirs, apart.job.table, ours)


def assert_apart(bucket: str, theirs: StorageConfig, data: str, ours: StorageConfig) -> None:
    """All of it in the vault, nothing beside the rows, and the keys of one open not the other."""
    keys = list(open_store(f"s3://{bucket}", theirs).list(""))
    folders = {key.split("/")[0] for key in keys}
    assert folders == {"letters", "letters_actions", "letters_archive"}
    assert not any("failed_date" in key for key in open_store(data, ours).list(""))
    crossed = ours.model_copy(update={"endpoint": theirs.endpoint})
    with pytest.raises(CredentialsRejected):
        list(open_store(f"s3://{bucket}/letters", crossed).list(""))


def test_an_erase_is_proved_on_the_store(kafka: Kafka, world: World) -> None:
    """The proof reads what the store gives back, compressed files and the log among it."""
    produce(kafka.bootstrap_servers, world.topic, 200)
    world.job.finish()
    for suffix in ("", "__dlq"):
        table = DeltaTable(
            f"{world.job.table}{suffix}", storage_options=dict(world.storage_options)
        )
        soon = {"delta.deletedFileRetentionDuration": "interval 1 seconds"}
        table.alter.set_table_properties(soon, raise_if_not_exists=False)
    letter = next(row for row in world.rows("__dlq") if row["value"] is not None)
    place = ("--topic", letter["topic"], "--partition", str(letter["partition"]))
    words = ("dlq", "erase", *place, "--offset", str(letter["offset"]))
    done = world.run_cli(*words, "--yes", "--wait-vacuum", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert (report["proof"]["gone"], report["proof"]["known"]) == (True, True)
    assert letter["value"] not in done.stdout.encode() + done.stderr.encode()
    again = world.run_cli(*words, "--yes", "--wait-vacuum", "--json")
    assert again.returncode == 0, again.stderr
    assert not json.loads(again.stdout)["proof"]["known"]
    prove(world.job, world.storage_options)
