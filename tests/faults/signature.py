"""Sign a request again after a header was taken away (AWS Signature Version 4, header form).

Only for the fault "the store ignores If-None-Match": every other request keeps its own signature.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field

from tests.faults.http_wire import Head


@dataclass(frozen=True)
class Credentials:
    """What the client signs with."""

    access_key: str
    secret_key: str = field(repr=False)


def signed_again(head: Head, credentials: Credentials) -> Head:
    """The head with a signature that covers the signed headers that are still there."""
    old = head.get("authorization") or ""
    scope = re.search(r"Credential=[^/]+/([^,\s]+)", old)
    signed = re.search(r"SignedHeaders=([^,\s]+)", old)
    if scope is None or signed is None:
        raise ValueError("the request carries no signature that could be replaced")
    names = [name for name in signed[1].split(";") if head.get(name) is not None]
    path, _, query = head.start.split(b" ")[1].decode().partition("?")
    canonical = "\n".join(
        [
            head.method,
            path,
            "&".join(sorted(query.split("&"))),
            *(f"{name}:{head.get(name)}" for name in names),
            "",
            ";".join(names),
            head.get("x-amz-content-sha256") or "UNSIGNED-PAYLOAD",
        ]
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", head.get("x-amz-date") or "", scope[1], digest])
    key = f"AWS4{credentials.secret_key}".encode()
    for part in (*scope[1].split("/"), text):
        key = hmac.digest(key, part.encode(), "sha256")
    line = (
        f"authorization: AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope[1]}, "
        f"SignedHeaders={';'.join(names)}, Signature={key.hex()}"
    )
    bare = head.without("authorization")
    return Head(bare.start, (*bare.lines, line.encode()))
