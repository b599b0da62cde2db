"""How a run stands at one moment, as frozen values; and what "ready" means, as a pure function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stream_processor.ports import Partition, Standing
from stream_processor.runtime.watchdog import Stall

_REST_LIMIT_SECONDS_MIN = 60.0
_REST_COMMITS = 3


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the live line, `/readyz` and the end of a run show. Made by `Observation.snapshot`.

    Counts are since the start of the process and durable. Times ending in `_at` are seconds since
    the epoch; `poll_age_seconds` is the time since the last poll returned. `flooded` are the topics
    whose breaker is open.
    """

    state: str = "starting"
    reason: str = ""
    rows: int = 0
    dead_by_code: Mapping[tuple[str, str], int] = field(default_factory=dict)
    skipped_by_reason: Mapping[str, int] = field(default_factory=dict)
    holes: int = 0
    records_per_second: float = 0.0
    standing: Mapping[Partition, Standing] | None = None
    lag_seconds: float | None = None
    last_commit_at: float | None = None
    commit_problem: str = ""
    poll_age_seconds: float | None = None
    buffered_records: int = 0
    buffered_bytes: int = 0
    retries: int = 0
    flooded: frozenset[str] = frozenset()
    stalls: tuple[Stall, ...] = ()

    @property
    def dead(self) -> int:
        """All dead letters since the start."""
        return sum(self.dead_by_code.values())

    @property
    def lag(self) -> int | None:
        """Offsets that the table does not hold yet, of all owned partitions; None: not known."""
        if self.standing is None:
            return None
        return sum(where.lag for where in self.standing.values())


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `/readyz?verbose=1`."""

    name: str
    ok: bool
    detail: str


def rest_limit_seconds(commit_every_seconds: float) -> float:
    """How long a partition, or the poll, may rest before it counts as stuck.

    A poll returns and a partition moves only once per commit interval, so the limit is three of
    them and at least a minute. Given to `Watchdog` and to `readiness` by whoever composes a run.
    """
    return max(_REST_LIMIT_SECONDS_MIN, _REST_COMMITS * commit_every_seconds)


def readiness(now: Snapshot, rest_limit: float) -> tuple[Check, ...]:
    """Judge whether records flow; ready means every check is ok. Asks nobody, so it is instant.

    A stalled partition that only waits for a producer's open transaction is reported but ready.
    """
    return (
        _state(now),
        _assignment(now),
        _poll(now, rest_limit),
        Check("commit", not now.commit_problem, now.commit_problem or "ok"),
        _progress(now),
    )


def _state(now: Snapshot) -> Check:
    ok = now.state == "running" and not now.reason
    return Check("state", ok, f"{now.state}: {now.reason}" if now.reason else now.state)


def _assignment(now: Snapshot) -> Check:
    if now.standing is None:
        return Check("assignment", ok=False, detail="no partitions claimed yet")
    if not now.standing:
        return Check("assignment", ok=True, detail="none given: other processes have them all")
    return Check("assignment", ok=True, detail=f"{len(now.standing)} partitions claimed")


def _poll(now: Snapshot, rest_limit: float) -> Check:
    age = now.poll_age_seconds
    if age is None:
        return Check("poll", ok=False, detail="not polled yet")
    return Check("poll", age <= rest_limit, f"{age:.0f} s ago")


def _progress(now: Snapshot) -> Check:
    ok = all(stall.kind == "open_transaction" for stall in now.stalls)
    return Check("progress", ok, "; ".join(map(str, now.stalls[:5])) or "ok")
