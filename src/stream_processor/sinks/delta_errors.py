"""What the Delta library raises, as our errors: most specific first, nothing foreign gets through.

After an exception in a commit its outcome is unknown: it may have landed. So each of these sends
the engine back to ON ASSIGN, where the table itself says what happened (commit protocol, a.5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from deltalake.exceptions import CommitFailedError, DeltaError, DeltaProtocolError

from stream_processor.errors import Fenced, StoreUnavailable, StreamProcessorError, TableRefused
from stream_processor.store_errors import known_failure, unanswered

_STORE = re.compile(r"object store|Generic|HTTP|connect|timed? ?out|I/O|IO error", re.IGNORECASE)


@contextmanager
def mapped(table: str, doing: str) -> Iterator[None]:
    """Run one call of the Delta library on `table`; raise only `StreamProcessorError`s.

    `table` is its address without credentials, `doing` completes "while ...".
    """
    try:
        yield
    except StreamProcessorError:
        raise
    except CommitFailedError as error:
        raise Fenced(
            f"another writer was faster while {doing} {table}",
            hint="the table decides what is durable; this process reads it and goes on",
        ) from error
    except DeltaProtocolError as error:
        raise TableRefused(
            f"{table} needs a table feature that this version cannot honour",
            hint="`status` names the table's features; remove the feature or use another table",
        ) from error
    except (DeltaError, OSError) as error:
        raise _unavailable(error, table, doing) from error


def _unavailable(error: Exception, table: str, doing: str) -> StreamProcessorError:
    """The kind is in the text only: the library raises `OSError` for everything of the store."""
    text = str(error)
    known = known_failure(text, table, doing)
    if known is not None:
        return known
    if isinstance(error, DeltaError) and not _STORE.search(text):
        return StoreUnavailable(
            f"the Delta library failed ({type(error).__name__}) while {doing} {table}",
            hint="the table's log or schema may have been changed by someone: see `status`; "
            "this is tried again by itself",
        )
    return unanswered(text, table, doing)
