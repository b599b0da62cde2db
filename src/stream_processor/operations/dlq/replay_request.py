"""What a person asks of one replay, and what it takes from the process around it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from stream_processor.operations.dlq.replay_patch import Patch
from stream_processor.operations.dlq.selection import Selector
from stream_processor.ports import Clock, KillPoint, never
from stream_processor.runtime.retry import Stop

BATCH_ROWS_MAX = 100_000
"""Dead letters of one step at most; a step is one commit of the data table and of the ledger."""
BATCH_SECONDS_MAX = 10
"""With a rate, a step takes on no more than what may go in this time: no long silence, no burst."""


@dataclass(frozen=True, slots=True)
class Topic:
    """`--to topic:NAME`. `headers` are names that go along besides `replay_topic.HEADERS_KEPT`."""

    name: str
    headers: tuple[str, ...] = ()
    same_topic: bool = False


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """Which dead letters, where to, and within which bounds. `rate` is in records per second."""

    selector: Selector
    to: Topic | None = None
    patch: Patch | None = None
    limit: int | None = None
    rate: float | None = None
    on_fail: Literal["keep", "stop"] = "keep"


@dataclass(frozen=True, slots=True)
class Doer:
    """Who does it: stands in every row of the ledger."""

    run_id: str
    actor: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a replay takes from the process around it; `progress` is told (done, of how many)."""

    doer: Doer
    clock: Clock
    stop: Stop
    kill_point: KillPoint = never
    progress: Callable[[int, int], None] = field(default=lambda _done, _all: None)


def new_run_id(now: float) -> str:
    """Like `r-20261124-101502-4f2a`: when it began, and four digits that tell twins apart."""
    return f"r-{datetime.fromtimestamp(now, UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
