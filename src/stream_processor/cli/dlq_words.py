"""How the reading verbs of `dlq` write ids and times."""

from __future__ import annotations

from datetime import datetime

ID_DIGITS = 8
"""So many digits of an id are shown: enough to name it by."""


def short(identity: str) -> str:
    """The first digits of the id of a group or of a record."""
    return identity[:ID_DIGITS]


def moment(when: datetime | None) -> str:
    """A time in UTC, to the second."""
    return "-" if when is None else f"{when:%Y-%m-%d %H:%M:%S}Z"


def age(when: datetime, now: datetime) -> str:
    """How long ago, in two units at most: `3 min`, `20 h`, `2 d 6 h`."""
    minutes = max(0, int((now - when).total_seconds())) // 60
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h"
    days, hours = divmod(minutes // 60, 24)
    return f"{days} d {hours} h" if days < 10 and hours else f"{days} d"
