"""What a failure of the object store means, in one sentence, whichever client met it.

Two clients talk to the store: that of the Delta library and our own. Both give nearly everything
as one generic error, and only its text tells the kind; so the signs stand here, once for both. The
text itself is never shown: it may hold addresses and query strings. Pure.
"""

from __future__ import annotations

import re

from stream_processor.errors import CredentialsRejected, StoreUnavailable, Unavailable

_CLOCK = re.compile(r"RequestTimeTooSkewed")
_REJECTED = re.compile(
    r"AccessDenied|InvalidAccessKeyId|SignatureDoes|ExpiredToken|InvalidToken"
    r"|\b401 Unauthorized|\b403 Forbidden"
)
_FULL = re.compile(r"StorageFull|No space left|\b507\b|QuotaExceeded|Disk quota exceeded")
_NO_BUCKET = re.compile(r"NoSuchBucket|bucket does not exist", re.IGNORECASE)

_REASONS = {
    "BadScheme": "plain http is not allowed",
    "builder error": "plain http is not allowed",
    "kind: Timeout": "timed out",
    "timed out": "timed out",
    "kind: Connect": "no connection",
    "error sending request": "no connection",
    "Permission denied": "no permission",
    "Read-only file system": "read-only",
    "503": "it asks to slow down or is not ready",
    "500 Internal": "it reports an internal error",
}


def names_no_bucket(text: str) -> bool:
    """Whether a "not found" is about the bucket, and not about one object."""
    return _NO_BUCKET.search(text) is not None


def access_refused(place: str, doing: str = "") -> CredentialsRejected:
    """`place` is an address without credentials; `doing` completes "while ... it"."""
    return CredentialsRejected(
        f"access to {place} was refused{_while(doing)}",
        hint="check the access key, its secret or session token, and its rights on the bucket",
    )


def known_failure(text: str, place: str, doing: str = "") -> Unavailable | None:
    """What the text of a failure means by a sign that leaves no doubt; None without one."""
    if _CLOCK.search(text):
        return CredentialsRejected(
            f"access to {place} was refused{_while(doing)}: the clocks differ too much",
            hint="set this machine's clock (NTP)",
        )
    if _REJECTED.search(text):
        return access_refused(place, doing)
    if _FULL.search(text):
        return StoreUnavailable(
            f"no space left at {place}{_while(doing)}",
            hint="free space; a stream goes on by itself",
        )
    if names_no_bucket(text):
        return StoreUnavailable(
            f"the bucket of {place} does not exist",
            hint="create it, and a stream goes on by itself; or correct the table's address",
        )
    return None


def unanswered(text: str, place: str, doing: str = "") -> StoreUnavailable:
    """Every other failure."""
    found = (reason for sign, reason in _REASONS.items() if sign in text)
    return StoreUnavailable(
        f"{place} does not answer as it should{_while(doing)} "
        f"({next(found, 'an error was returned')})",
        hint="check that the store is up and its endpoint is right; a stream goes on by itself",
    )


def _while(doing: str) -> str:
    return f" while {doing} it" if doing else ""
