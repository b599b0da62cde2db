"""The door to the object store and `verify`, on a real MinIO."""

from __future__ import annotations

import socket

import pytest
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from stream_processor.config.pipeline import StorageConfig
from stream_processor.errors import CredentialsRejected, StoreUnavailable
from stream_processor.operations.snapshots import Tables
from stream_processor.operations.status import status
from stream_processor.operations.verify import verify
from stream_processor.runtime.object_store import delta_storage_options, open_store
from stream_processor.runtime.store_proof import check_reachable, prove_conditional_create
from tests.unit.operations.lakehouse import ORDERS, Lakehouse

pytestmark = pytest.mark.stack


def storage(minio, **changes):
    given = {
        "endpoint": minio.endpoint,
        "region": minio.region,
        "access_key_id": minio.access_key,
        "secret_access_key": minio.secret_key,
    }
    return StorageConfig(**(given | changes))


def test_objects_on_minio_behave_as_the_port_says(minio, bucket_url):
    """The log is read through this door."""
    store = open_store(f"{bucket_url}/a b/ü#1", storage(minio))
    assert store.put_if_absent("_delta_log/2.json", b"two")
    assert store.put_if_absent("_delta_log/1.json", b"one")
    assert not store.put_if_absent("_delta_log/1.json", b"other")
    assert list(store.list("_delta_log/")) == ["_delta_log/1.json", "_delta_log/2.json"]
    assert list(store.list("_delta_log/", "_delta_log/1.json")) == ["_delta_log/2.json"]
    assert store.get("_delta_log/1.json") == b"one"
    with pytest.raises(FileNotFoundError):
        store.get("none")
    store.delete("_delta_log/1.json")
    store.delete("_delta_log/1.json")
    assert list(store.list("")) == ["_delta_log/2.json"]


def test_minio_enforces_conditional_create_and_is_left_clean(minio, bucket_url):
    """Exactly once stands on this one property of the store."""
    store = open_store(bucket_url, storage(minio))
    prove_conditional_create(store)
    assert list(store.list("")) == []


def test_a_missing_bucket_is_named(minio):
    """The most common mistake of a first start."""
    store = open_store("s3://no-such-bucket-here/x", storage(minio))
    for act in (lambda: check_reachable(store), lambda: store.get("a"), lambda: store.delete("a")):
        with pytest.raises(StoreUnavailable, match="bucket of s3://no-such-bucket-here"):
            act()
    with pytest.raises(StoreUnavailable, match="bucket of"):
        prove_conditional_create(store)


@pytest.mark.parametrize("wrong", [{"access_key_id": "nobody"}, {"secret_access_key": "wrong-one"}])
def test_wrong_keys_are_said_to_be_wrong_and_never_shown(minio, bucket_url, wrong):
    """An outage and a wrong key need different people."""
    store = open_store(bucket_url, storage(minio, **wrong))
    with pytest.raises(CredentialsRejected) as caught:
        check_reachable(store)
    with pytest.raises(CredentialsRejected):
        store.put_if_absent("a", b"")
    assert minio.secret_key not in f"{caught.value} {caught.value.hint} {store!r}"


def test_a_store_that_is_away_is_an_outage_within_seconds(bucket_url):
    """Well below the time after which Kafka takes our partitions away."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        away = StorageConfig(
            endpoint=f"http://127.0.0.1:{nobody.getsockname()[1]}",
            access_key_id="k",
            secret_access_key="s",
        )
        with pytest.raises(StoreUnavailable, match="no connection"):
            check_reachable(open_store(bucket_url, away))


def test_the_delta_library_takes_the_same_settings(minio, bucket_url):
    """One block in the pipeline file serves both clients."""
    with pytest.raises(TableNotFoundError):
        DeltaTable(bucket_url, storage_options=delta_storage_options(storage(minio)))


def test_verify_and_status_read_tables_on_minio(minio, bucket_url):
    """The verbs of the person on call, on the store that they have."""
    config = storage(minio)
    lake = Lakehouse(bucket_url, options=delta_storage_options(config))
    tables = Tables("orders", lake.tables.data, lake.tables.dead_letters, config, config)
    note = {"kind": "batch", "partitions": {f"{ORDERS}/0": {"rows": 0, "dead": 2}}}
    lake.dead([3, 7], upto=10)
    lake.data([0, 1, 2, 4, 5, 6, 8, 9], upto=10, start=0)
    lake.data([], note=note, upto=10)
    report = verify(tables)
    assert report.conclusion == "10 offsets: 8 rows, 2 dead letters, 0 lost, 0 double"
    seen = status(tables)
    assert seen.partitions[0].committed == 10
    assert seen.commits[0].dead_letters == 2
    assert seen.data.rows == 8
