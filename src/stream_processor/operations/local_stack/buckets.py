"""The two S3 requests that the local stack needs itself: is it up, and make a bucket.

The object store client of the product (runtime/object_store) cannot make buckets, and should not:
with a user's store that is a person's decision. So these are signed here, by AWS Signature
Version 4 as its specification describes it, for requests without a body.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

from stream_processor.errors import StoreUnavailable

REGION = "us-east-1"
_EMPTY_BODY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Credentials:
    """A pair of S3 keys; the secret one is never shown."""

    access_key: str
    secret_key: str = field(repr=False)


def create_bucket(endpoint: str, credentials: Credentials, bucket: str) -> None:
    """Make a bucket; silent when it is there already.

    Called by `make up` and by tests. Raises `StoreUnavailable` when the store says no.
    """
    status = _request("PUT", endpoint, f"/{bucket}", credentials)
    if status not in (200, 409):
        raise StoreUnavailable(f"The store at {endpoint} did not make bucket {bucket}: {status}.")


def list_buckets_status(endpoint: str, credentials: Credentials) -> int:
    """The HTTP status of a signed request, 0 when nobody speaks HTTP there."""
    try:
        return _request("GET", endpoint, "/", credentials)
    except (OSError, http.client.HTTPException):
        return 0


def _request(method: str, endpoint: str, path: str, credentials: Credentials) -> int:
    address = urlsplit(endpoint)
    connection = http.client.HTTPConnection(address.netloc, timeout=10)
    try:
        headers = _signed_headers(method, address.netloc, path, credentials)
        connection.request(method, path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def _signed_headers(method: str, host: str, path: str, credentials: Credentials) -> dict[str, str]:
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{now[:8]}/{REGION}/s3/aws4_request"
    signed = {"host": host, "x-amz-content-sha256": _EMPTY_BODY, "x-amz-date": now}
    names = ";".join(signed)
    canonical_headers = "".join(f"{name}:{value}\n" for name, value in signed.items())
    canonical = f"{method}\n{path}\n\n{canonical_headers}\n{names}\n{_EMPTY_BODY}"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{digest}"
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    return {**signed, "authorization": authorization}
