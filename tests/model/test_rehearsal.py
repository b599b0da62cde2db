"""The sinks do what the model says of them: a proof about something else would prove nothing."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from pydantic import SecretStr

from stream_processor.config.pipeline import StorageConfig
from tests.audit import Tables, audit
from tests.contracts.sink_adapters import Tables as SinkTables
from tests.contracts.sink_adapters import delta_tables, memory_tables
from tests.faults.s3_proxy import S3FaultProxy
from tests.model.rehearsal import Rehearsal
from tests.model.wire import Wire
from tests.stack import Minio


def test_memory_sinks_follow_the_model_anywhere() -> None:
    """Two writers, any interleaving: accepted where the model accepts, refused where it refuses."""
    refused = 0
    for seed in range(150):
        rehearsal = Rehearsal(memory_tables(), random.Random(seed))
        rehearsal.take(60)
        refused += rehearsal.refused
    assert refused > 150


@pytest.mark.parametrize("seed", range(4))
def test_delta_sinks_follow_the_model_anywhere(tmp_path: Path, seed: int) -> None:
    """The same with the real library, whose conflict check the model takes for granted."""
    rehearsal = Rehearsal(delta_tables(str(tmp_path)), random.Random(seed))
    rehearsal.take(60)
    assert rehearsal.refused > 0
    audit(Tables("pipe", str(tmp_path / "data"), str(tmp_path / "dead_letters")))


@pytest.mark.stack
@pytest.mark.parametrize("seed", [2, 6])  # walks in which entries land late, and are refused
def test_late_log_entries_meet_the_fence_on_a_real_store(
    minio: Minio, bucket_url: str, seed: int
) -> None:
    """Entries of dead writers land before the fence and are seen, or after it and are refused."""

    def through(endpoint: str) -> SinkTables:
        storage = StorageConfig(
            endpoint=endpoint,
            region=minio.region,
            access_key_id=SecretStr(minio.access_key),
            secret_access_key=SecretStr(minio.secret_key),
            allow_http=True,
        )
        return delta_tables(bucket_url, storage)

    with S3FaultProxy(minio.endpoint) as proxy:
        wire = Wire(proxy)
        rehearsal = Rehearsal(through(proxy.endpoint), random.Random(seed), wire)
        rehearsal.create(through(minio.endpoint))
        rehearsal.take(40)
        assert wire.landed > 0
        assert wire.refused > 0
    paths = (f"{bucket_url}/data", f"{bucket_url}/dead_letters")
    audit(Tables("pipe", *paths, minio.storage_options))
