"""Two clients meet the same store; a person must read the same sentence, whichever it was."""

from __future__ import annotations

import pytest

from stream_processor.errors import CredentialsRejected, StoreUnavailable, Unavailable
from stream_processor.runtime.object_store import store_error
from stream_processor.sinks.delta_errors import mapped

PLACE = "s3://lake/orders"


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("<Code>RequestTimeTooSkewed</Code>", CredentialsRejected, "clocks differ"),
        ("<Code>ExpiredToken</Code>", CredentialsRejected, "refused"),
        ("<Code>InvalidToken</Code>", CredentialsRejected, "refused"),
        ("status 403 Forbidden", CredentialsRejected, "refused"),
        ("<Code>XMinioStorageFull</Code>", StoreUnavailable, "no space left"),
        ("status 507 Insufficient Storage", StoreUnavailable, "no space left"),
        ("No space left on device (os error 28)", StoreUnavailable, "no space left"),
        ("<Code>NoSuchBucket</Code>", StoreUnavailable, "does not exist"),
        ("kind: Connect", StoreUnavailable, "no connection"),
        ("operation timed out", StoreUnavailable, "timed out"),
        ("Read-only file system (os error 30)", StoreUnavailable, "read-only"),
        ("part-403-401.parquet is strange", StoreUnavailable, "an error was returned"),
    ],
)
def test_both_doors_say_the_same(text: str, kind: type[Unavailable], says: str) -> None:
    """They had signs of their own, and a full disk was known to one of them only."""
    failure = OSError(f"PUT http://h/b?X-Amz-Signature=abc {text}")
    ours = store_error(failure, PLACE)
    with pytest.raises(kind) as caught, mapped(PLACE, "loading"):
        raise failure
    theirs = caught.value
    assert type(ours) is type(theirs) is kind
    assert says in ours.message
    assert ours.message == theirs.message.replace(" while loading it", "")
    assert ours.hint == theirs.hint
    assert "Signature" not in f"{ours} {ours.hint} {theirs}"
