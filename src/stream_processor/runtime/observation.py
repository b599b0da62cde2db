"""What the engine tells, passed on to the log, the metrics and the snapshot."""

from __future__ import annotations

import logging
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from stream_processor.ports import Clock, Offsets, Partition, Standing
from stream_processor.runtime.logging_setup import Log
from stream_processor.runtime.metrics import Metrics
from stream_processor.runtime.snapshot import Snapshot
from stream_processor.runtime.watchdog import Watchdog
from stream_processor.schema.display import printable

REPEAT_SECONDS = 60.0
_REPEATS_KEPT_MAX = 256
_RATE_WINDOW_SECONDS = 60.0
_RATE_POINTS_MAX = 256
_REASON_LIMIT = 500

_STATE_LEVELS = {"paused": logging.WARNING, "failed": logging.ERROR}
_WARNINGS = frozenset(
    {
        "retrying",
        "fenced",
        "commit_failed",
        "stalled",
        "dead_letters",
        "gap_accepted",
        "breaker_opened",
        "maintenance_failed",
    }
)
_TAKEN = frozenset({"level", "event", "ts"})
_SYSLOG_NOTICE = 5
"""librdkafka passes its own level along; from here on its line is information."""


class Repeats:
    """Lets the same line through once a minute, with the number of lines left out since.

    An outage repeats itself with every attempt; the log shall show the change, not the flood.
    """

    def __init__(self) -> None:
        self._last: OrderedDict[tuple[object, ...], tuple[float, int]] = OrderedDict()

    def admit(self, key: tuple[object, ...], now: float) -> int | None:
        """None: leave this line out; a number: write it, so many were left out before."""
        before = self._last.get(key)
        if before is not None and now - before[0] < REPEAT_SECONDS:
            self._last[key] = (before[0], before[1] + 1)
            return None
        self._last[key] = (now, 0)
        self._last.move_to_end(key)
        if len(self._last) > _REPEATS_KEPT_MAX:
            self._last.popitem(last=False)
        return before[1] if before is not None else 0


@dataclass(slots=True)
class _Rate:
    """Records per second over the last minute."""

    points: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=_RATE_POINTS_MAX))
    total: int = 0

    def add(self, records: int, now: float) -> None:
        self.total += records
        self.points.append((now, self.total))

    def per_second(self, now: float) -> float:
        while len(self.points) > 1 and self.points[1][0] <= now - _RATE_WINDOW_SECONDS:
            self.points.popleft()
        if not self.points or now <= self.points[0][0]:
            return 0.0
        return (self.total - self.points[0][1]) / (now - self.points[0][0])


class Observation:
    """The `Observer` of a run. Thread-safe; the log is written outside the lock, so that a slow
    terminal never holds up `/readyz`.

    Made once by whoever composes a run; the engine and the sources call the `Observer` methods,
    the live line and the HTTP server call `snapshot`.
    """

    def __init__(self, metrics: Metrics, log: Log, clock: Clock, watchdog: Watchdog) -> None:
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._watchdog = watchdog
        self._lock = threading.Lock()
        self._repeats = Repeats()
        self._now = Snapshot()
        self._dead: Counter[tuple[str, str]] = Counter()
        self._skipped: Counter[str] = Counter()
        self._rate = _Rate()
        self._rate.add(0, clock.monotonic())
        self._polled_at: float | None = None
        self._even_at: dict[Partition, float] = {}
        self._stalled: dict[tuple[Partition, str], str] = {}

    def snapshot(self) -> Snapshot:
        """How the run stands now; called several times a second."""
        with self._lock:
            now = self._clock.monotonic()
            age = None if self._polled_at is None else now - self._polled_at
            return replace(
                self._now,
                dead_by_code=dict(self._dead),
                skipped_by_reason=dict(self._skipped),
                records_per_second=self._rate.per_second(now),
                poll_age_seconds=age,
                stalls=self._watchdog.stalls(now),
            )

    def state(self, state: str, reason: str = "") -> None:
        """Every change of the state is a log line; the same state is repeated once a minute."""
        reason = printable(reason, _REASON_LIMIT)
        with self._lock:
            changed = state != self._now.state
            left_out = self._repeats.admit(("state", state, reason), self._clock.monotonic())
            self._now = replace(self._now, state=state, reason=reason)
            if state == "running":  # the claim was a commit too, so the store takes them again
                self._now = replace(self._now, commit_problem="")
            else:
                self._watchdog = self._watchdog.rested()
        self._metrics.state(state)
        if changed or left_out is not None:
            fields = {"state": state, "reason": reason} if reason else {"state": state}
            self._log.log(_STATE_LEVELS.get(state, logging.INFO), "state", **fields)

    def settled(self, upto: Offsets, dead_by_code: Mapping[tuple[str, str], int]) -> None:
        """Count a durable batch, and write one line when it held records."""
        rows = sum(advance.rows for advance in upto.values())
        dead = sum(dead_by_code.values())
        skipped = Counter[str]()
        for advance in upto.values():
            skipped.update(advance.skipped)
        with self._lock:
            self._dead.update(dead_by_code)
            self._skipped.update(skipped)
            self._rate.add(rows + dead + skipped.total(), self._clock.monotonic())
            self._now = replace(
                self._now,
                rows=self._now.rows + rows,
                holes=self._now.holes + sum(advance.holes for advance in upto.values()),
                last_commit_at=self._clock.now(),
                commit_problem="",
            )
            totals = {code: self._dead[code] for code in dead_by_code}
        self._metrics.settled(upto, dead_by_code, self._clock.now())
        level = logging.INFO if rows or dead else logging.DEBUG
        self._log.log(level, "committed", rows=rows, dead_letters=dead, partitions=len(upto))
        for (stage, code), count in dead_by_code.items():
            total = totals[stage, code]
            self.event("dead_letters", stage=stage, code=code, count=count, total=total)

    def timed(self, stage: str, seconds: float) -> None:
        """Measure; a poll that returned is also a sign of life."""
        if stage == "end_to_end":
            self._metrics.latency(seconds)
            return
        if stage == "poll":
            with self._lock:
                self._polled_at = self._clock.monotonic()
        self._metrics.stage(stage, seconds)

    def standing(self, where: Mapping[Partition, Standing]) -> None:
        """Show lag, and let the watchdog look; a stall is told when it begins and when it ends."""
        now, wall = self._clock.monotonic(), self._clock.now()
        with self._lock:
            self._even_at = {
                part: wall if at.lag == 0 else self._even_at[part]
                for part, at in where.items()
                if at.lag == 0 or part in self._even_at
            }
            behind = {
                part: _seconds_behind(at, self._even_at.get(part), wall)
                for part, at in where.items()
            }
            known = [seconds for seconds in behind.values() if seconds is not None]
            self._now = replace(
                self._now, standing=dict(where), lag_seconds=max(known, default=None)
            )
            if self._now.state == "running":
                self._watchdog = self._watchdog.seen(where, now)
        self._metrics.keep_only(where)
        self._metrics.breaker({part.topic for part in where}, self._now.flooded)
        for part, at in where.items():
            self._metrics.lag(part, at, behind[part])
        self._tell_stalls(now)

    def buffered(self, records: int, size_bytes: int) -> None:
        """Show what is in memory."""
        with self._lock:
            self._now = replace(self._now, buffered_records=records, buffered_bytes=size_bytes)
        self._metrics.buffered(records, size_bytes)

    def event(self, name: str, **fields: object) -> None:
        """Count it where it has a counter, and write it unless it only repeats itself.

        Lines of warning are the same when their text fields are: attempt numbers and delays do not
        make a new line. `error=` may be an exception.
        """
        self._count(name, fields)
        level = _level(name, fields)
        key = (name, *_sameness(fields, level))
        with self._lock:
            left_out = self._repeats.admit(key, self._clock.monotonic())
        if left_out is None:
            return
        safe = {f"{key}_" if key in _TAKEN else key: value for key, value in fields.items()}
        if left_out:
            safe["repeated"] = left_out
        self._log.log(level, name, **safe)

    def _count(self, name: str, fields: Mapping[str, object]) -> None:
        if name == "rebalanced":
            self._metrics.rebalanced()
        elif name == "retrying":
            kind = str(fields.get("kind", "other"))
            self._metrics.retried(kind)
            if kind == "Fenced":
                self._metrics.fenced()
            with self._lock:
                self._now = replace(self._now, retries=self._now.retries + 1)
        elif name in ("breaker_opened", "breaker_closed"):
            self._flood(str(fields["topic"]), is_open=name == "breaker_opened")
        elif name == "commit_failed":
            self._metrics.commit_failed(
                "dead_letters" if fields.get("stage") == "dead_letters" else "data"
            )
            with self._lock:
                self._now = replace(self._now, commit_problem=_commit_problem(fields))

    def _flood(self, topic: str, *, is_open: bool) -> None:
        with self._lock:
            others = self._now.flooded - {topic}
            self._now = replace(self._now, flooded=others | {topic} if is_open else others)
        self._metrics.flood(topic, is_open=is_open)

    def _tell_stalls(self, now: float) -> None:
        with self._lock:
            stalls = self._watchdog.stalls(now)
            before, self._stalled = (
                self._stalled,
                {(stall.partition, stall.kind): str(stall) for stall in stalls},
            )
            began = [stall for stall in stalls if (stall.partition, stall.kind) not in before]
            ended = [key for key in before if key not in self._stalled]
        for stall in began:
            self.event("stalled", partition=stall.partition, kind=stall.kind, reason=str(stall))
        for partition, kind in ended:
            self.event("moving_again", partition=partition, kind=kind)


def _seconds_behind(at: Standing, even_at: float | None, wall: float) -> float | None:
    """Age of the oldest record that the table does not hold; None when nothing tells.

    Before that record was read, it is at most as old as the newest one in the table, and arrived
    after the partition was last seen without lag.
    """
    if at.lag == 0:
        return 0.0
    if at.waiting_ms is not None:
        return max(0.0, wall - at.waiting_ms / 1000)
    committed = None if at.committed_ms is None else at.committed_ms / 1000
    known = [moment for moment in (committed, even_at) if moment is not None]
    return max(0.0, wall - max(known)) if known else None


def _level(name: str, fields: Mapping[str, object]) -> int:
    if name == "internal_error" or any(isinstance(v, BaseException) for v in fields.values()):
        return logging.ERROR
    severity = fields.get("level")
    if isinstance(severity, int) and severity >= _SYSLOG_NOTICE:
        return logging.INFO
    known = name in _WARNINGS or name.startswith("kafka_")
    return logging.WARNING if known else logging.INFO


def _sameness(fields: Mapping[str, object], level: int) -> Iterable[object]:
    for name, value in sorted(fields.items()):
        if isinstance(value, BaseException):
            yield (name, type(value).__name__, str(value))
        elif level < logging.WARNING or isinstance(value, str | Partition):
            yield (name, str(value))


def _commit_problem(fields: Mapping[str, object]) -> str:
    return printable(f"the last commit failed: {fields.get('kind', 'unknown')}", _REASON_LIMIT)
