"""Who acts on dead letters: what stands in the ledger as `actor`."""

from __future__ import annotations

import getpass
import socket


def this_person() -> str:
    """`user@host`; a process without a name in the user database is called by what it has."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container whose user id nobody has named
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
