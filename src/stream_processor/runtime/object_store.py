"""The one door to the object store: MinIO, any S3 with conditional writes, or a local folder.

The Delta library has its own client and takes `delta_storage_options`; this door serves what is
read beside it (the log's `txn` entries) and the checks at start (`store_proof`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import LocalStore, S3Store

from stream_processor.config.pipeline import StorageConfig
from stream_processor.errors import ConfigurationError, Unavailable
from stream_processor.ports import ObjectStore
from stream_processor.store_errors import (
    access_refused,
    known_failure,
    names_no_bucket,
    unanswered,
)

# Bounds of one request, far below Kafka's `max.poll.interval.ms` (300 s): the library's defaults
# are 30 s, 10 retries, 180 s, so a store that hangs would cost us our partitions.
_TIMEOUT_SECONDS = 15
_CONNECT_TIMEOUT_SECONDS = 5
_RETRIES_MAX = 3
_RETRY_TIMEOUT_SECONDS = 30

# The user's options that our own client takes too. Others concern only the Delta library: this
# client refuses the keys that it does not know, and panics on some that belong elsewhere.
_SHARED_OPTIONS = frozenset(
    {
        "aws_session_token",
        "aws_skip_signature",
        "aws_unsigned_payload",
        "aws_virtual_hosted_style_request",
        "aws_request_payer",
        "aws_s3_express",
        "aws_imdsv1_fallback",
        "aws_metadata_endpoint",
        "aws_web_identity_token_file",
        "aws_role_arn",
        "aws_role_session_name",
        "aws_endpoint_url_sts",
    }
)


def open_store(table_uri: str, storage: StorageConfig) -> ObjectStore:
    """The store below one table's folder, for `s3://bucket/prefix`, `file://` and plain paths.

    Called once per table at start. Nothing is contacted yet, and no folder is made.
    Raises `ConfigurationError` for an address that is none.
    """
    url = urlsplit(table_uri)
    if url.scheme in {"s3", "s3a"}:
        return _open_s3(url.netloc, url.path.strip("/"), storage)
    folder = local_folder(table_uri)
    if folder is None:
        raise ConfigurationError(
            f"a table cannot live at {url.scheme}://",
            hint="use s3://bucket/folder, or a local folder",
        )
    # Rooted at the file system: a store rooted at the table would have to create its folder.
    return _Store(LocalStore(), str(folder).strip("/") + "/", f"the folder {folder}")


def local_folder(table_uri: str) -> Path | None:
    """The folder of a table on this machine's own disk; None for every other address."""
    url = urlsplit(table_uri)
    if url.scheme not in {"", "file"}:
        return None
    return Path(unquote(url.path) if url.scheme else table_uri).absolute()


def delta_storage_options(storage: StorageConfig) -> dict[str, str]:
    """What the Delta library needs to reach the same store; the user's own options come last.

    Holds secrets in the clear: never log it. Raises `ConfigurationError` for an option that would
    take away the atomic create on which the commit protocol stands (a.8, rule 1).
    """
    options = {
        "timeout": f"{_TIMEOUT_SECONDS}s",
        "connect_timeout": f"{_CONNECT_TIMEOUT_SECONDS}s",
        "max_retries": str(_RETRIES_MAX),
        "retry_timeout": f"{_RETRY_TIMEOUT_SECONDS}s",
    }
    options |= {key.upper(): value for key, value in _s3_config(storage).items()}
    if _http_is_meant(storage):
        options["AWS_ALLOW_HTTP"] = "true"
    _refuse_unsafe(storage)
    given = {key.lower() for key in storage.options}
    return {key: value for key, value in options.items() if key.lower() not in given} | dict(
        storage.options
    )


def ca_environment(storage: StorageConfig) -> dict[str, str]:
    """Environment that makes the Delta library trust `ca_file`; to be set before its first call.

    It has no such option among its own (delta-rs #4246).
    """
    return {"SSL_CERT_FILE": storage.ca_file} if storage.ca_file else {}


def store_error(error: BaseException, place: str) -> Unavailable:
    """The error of ours that a failed call to the store at `place` means; for `raise ... from`.

    The sentence is ours: the library's own text may hold addresses and query strings.
    """
    text = str(error)
    known = known_failure(text, place)
    if known is None and isinstance(error, PermissionDeniedError | UnauthenticatedError):
        return access_refused(place)
    return known or unanswered(text, place)


def _open_s3(bucket: str, prefix: str, storage: StorageConfig) -> ObjectStore:
    if not bucket or "@" in bucket:
        raise ConfigurationError(
            "the table's address names no bucket", hint="write s3://bucket/folder, without keys"
        )
    _refuse_unsafe(storage)
    client: dict[str, Any] = {
        "timeout": timedelta(seconds=_TIMEOUT_SECONDS),
        "connect_timeout": timedelta(seconds=_CONNECT_TIMEOUT_SECONDS),
        "allow_http": _http_is_meant(storage),
    }
    if storage.ca_file:
        client["root_certificate"] = _read_ca_file(storage.ca_file)
    shared = {k.lower(): v for k, v in storage.options.items() if k.lower() in _SHARED_OPTIONS}
    config: dict[str, Any] = _s3_config(storage) | shared
    try:
        store = S3Store(
            bucket,
            config=config,  # type: ignore[arg-type]  # a TypedDict; ours is made at run time
            client_options=client,  # type: ignore[arg-type]  # as above
            retry_config={
                "max_retries": _RETRIES_MAX,
                "retry_timeout": timedelta(seconds=_RETRY_TIMEOUT_SECONDS),
            },
        )
    except (BaseError, ValueError) as error:
        raise ConfigurationError(
            f"the storage settings of the bucket {bucket} cannot be used",
            hint="check endpoint, region, ca_file and options",
        ) from error
    return _Store(store, f"{prefix}/" if prefix else "", f"s3://{bucket}/{prefix}".rstrip("/"))


def _s3_config(storage: StorageConfig) -> dict[str, str]:
    config: dict[str, str] = {}
    if storage.endpoint:
        config["aws_endpoint_url"] = storage.endpoint
    if storage.region or storage.endpoint:
        # A store with an endpoint of its own ignores the region, but the signature needs one.
        config["aws_region"] = storage.region or "us-east-1"
    if storage.access_key_id:
        config["aws_access_key_id"] = storage.access_key_id.get_secret_value()
    if storage.secret_access_key:
        config["aws_secret_access_key"] = storage.secret_access_key.get_secret_value()
    return config


def _http_is_meant(storage: StorageConfig) -> bool:
    return storage.allow_http or (storage.endpoint or "").lower().startswith("http://")


def _refuse_unsafe(storage: StorageConfig) -> None:
    for key, value in storage.options.items():
        name = key.lower().removeprefix("aws_").removeprefix("s3_")
        if (name == "allow_unsafe_rename" and value.lower() != "false") or (
            name == "conditional_put" and value.lower() != "etag"
        ):
            raise ConfigurationError(
                f"the storage option {key} would let two writers overwrite each other's commits",
                hint="remove it",
            )


def _read_ca_file(ca_file: str) -> bytes:
    try:
        return Path(ca_file).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"the ca_file {ca_file} cannot be read") from error


@dataclass(frozen=True, slots=True)
class _Store:
    """The port `ObjectStore` over the library. `prefix` is empty or ends with a slash."""

    store: LocalStore | S3Store
    prefix: str
    place: str

    def list(self, prefix: str, start_after: str = "") -> Iterator[str]:
        """Keys below the folder `prefix`, in order: S3 promises it, a local one is sorted."""
        try:
            pages = obstore.list(
                self.store,
                self.prefix + prefix,
                offset=self.prefix + start_after if start_after else None,
                chunk_size=1000,
            )
            keys = (entry["path"].removeprefix(self.prefix) for page in pages for entry in page)
            yield from sorted(keys) if isinstance(self.store, LocalStore) else keys
        except (BaseError, OSError) as error:
            raise store_error(error, self.place) from error

    def get(self, key: str) -> bytes:
        try:
            return bytes(obstore.get(self.store, self.prefix + key).bytes())
        except FileNotFoundError as error:
            if names_no_bucket(str(error)):
                raise store_error(error, self.place) from error
            raise FileNotFoundError(f"{self.place}/{key}") from error
        except (BaseError, OSError) as error:
            raise store_error(error, self.place) from error

    def put_if_absent(self, key: str, data: bytes) -> bool:
        try:
            obstore.put(self.store, self.prefix + key, data, mode="create", use_multipart=False)
        except (AlreadyExistsError, PreconditionError):
            return False
        except (BaseError, OSError) as error:
            raise store_error(error, self.place) from error
        return True

    def delete(self, key: str) -> None:
        try:
            obstore.delete(self.store, self.prefix + key)
        except FileNotFoundError as error:
            if names_no_bucket(str(error)):
                raise store_error(error, self.place) from error
        except (BaseError, OSError) as error:
            raise store_error(error, self.place) from error
