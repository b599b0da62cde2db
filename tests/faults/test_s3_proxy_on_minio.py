"""Through the proxy a real store and the real Delta library behave as the protocol assumes."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError
from obstore.exceptions import AlreadyExistsError
from obstore.store import S3Store

from tests.faults.s3_proxy import S3FaultProxy
from tests.faults.signature import Credentials
from tests.stack import Minio

pytestmark = pytest.mark.stack

COMMIT = r"_delta_log/0+1\.json$"


@pytest.fixture
def proxy(minio: Minio) -> Iterator[S3FaultProxy]:
    with S3FaultProxy(minio.endpoint, Credentials(minio.access_key, minio.secret_key)) as running:
        yield running


@pytest.fixture
def options(minio: Minio, proxy: S3FaultProxy) -> dict[str, str]:
    quick = {"timeout": "2s", "retry_timeout": "4s", "max_retries": "2"}
    return {**minio.storage_options, **quick, "AWS_ENDPOINT_URL": proxy.endpoint}


def append(table: DeltaTable, rows: int, version: int) -> None:
    properties = CommitProperties(app_transactions=[Transaction("p", version)])
    data = pa.table({"x": pa.array(range(rows), pa.int64())})
    write_deltalake(table, data, mode="append", commit_properties=properties)


@pytest.fixture
def table(bucket_url: str, options: dict[str, str]) -> DeltaTable:
    schema = pa.schema([("x", pa.int64())])
    return DeltaTable.create(bucket_url, schema=schema, storage_options=options)


@pytest.fixture
def store(bucket_url: str, minio: Minio, proxy: S3FaultProxy) -> S3Store:
    bucket, _, prefix = bucket_url.removeprefix("s3://").partition("/")
    return S3Store(
        bucket,
        prefix=prefix,
        endpoint=proxy.endpoint,
        access_key_id=minio.access_key,
        secret_access_key=minio.secret_key,
        region=minio.region,
        client_options={"allow_http": True},
    )


def head(uri: str, options: dict[str, str]) -> tuple[int, int | None]:
    table = DeltaTable(uri, storage_options=options)
    return table.version(), table.transaction_version("p")


def test_signed_requests_of_every_kind_pass(
    table: DeltaTable,
    bucket_url: str,
    options: dict[str, str],
    store: S3Store,
    proxy: S3FaultProxy,
) -> None:
    """A fault proxy that breaks signatures, lists or large uploads would test itself."""
    append(table, 200_000, 7)
    assert head(bucket_url, options) == (1, 7)
    store.put("large", b"z" * 12_000_000)  # in parts
    assert store.head("large")["size"] == 12_000_000
    assert store.get("large").bytes() == b"z" * 12_000_000
    assert {seen.method for seen in proxy.seen} >= {"GET", "HEAD", "POST", "PUT"}


@pytest.mark.parametrize("mode", ["503-after", "reset-after", "hang-after"])
def test_an_applied_commit_is_reported_as_failed(
    table: DeltaTable, bucket_url: str, options: dict[str, str], proxy: S3FaultProxy, mode: str
) -> None:
    """Why the outcome of a commit is read from the table and never from the exception."""
    fault = proxy.inject(mode, key=COMMIT)
    with pytest.raises((OSError, CommitFailedError)):
        append(table, 3, 7)
    assert fault.store_said == [200]
    assert head(bucket_url, options) == (1, 7)


def test_a_commit_that_comes_after_a_fence_is_refused_by_the_store(
    table: DeltaTable, bucket_url: str, options: dict[str, str], proxy: S3FaultProxy
) -> None:
    """The log entry of a dead writer aims at a version that the fence has taken."""
    fault = proxy.inject("late", key=COMMIT)
    failures: list[BaseException] = []

    def zombie() -> None:
        try:
            append(table, 3, 7)
        except CommitFailedError as error:
            failures.append(error)

    thread = threading.Thread(target=zombie)
    thread.start()
    fault.wait()
    append(DeltaTable(bucket_url, storage_options=options), 0, 5)
    fault.release()
    assert fault.wait_delivered() == 412
    thread.join()
    assert len(failures) == 1
    assert head(bucket_url, options) == (1, 5)


def test_a_store_that_ignores_conditions_can_be_played(store: S3Store, proxy: S3FaultProxy) -> None:
    """The start-up proof of conditional create needs a store that fails it."""
    store.put("probe", b"one", mode="create")
    with pytest.raises(AlreadyExistsError):
        store.put("probe", b"two", mode="create")
    proxy.inject("strip-if-none-match", key="probe")
    store.put("probe", b"two", mode="create")
    assert store.get("probe").bytes() == b"two"
