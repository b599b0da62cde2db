"""The Prometheus metrics of one run, in a registry of their own (docs/reference/metrics.md).

Names follow Prometheus' rules: base units, `_total`, the time of an event and not its age.
Counters begin at zero with the process and grow only when a batch is durable.
"""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from stream_processor.ports import Advance, Offsets, Partition, Standing
from stream_processor.schema.display import printable

PREFIX = "stream_processor"
STATES = ("starting", "running", "paused", "draining", "failed", "stopped")

_LABEL_LIMIT = 249  # Kafka's longest topic name
_STAGE_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_COMMIT_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_LATENCY_BUCKETS = (0.1, 0.25, 0.5, 1, 1.5, 2, 3, 5, 10, 20, 30, 60, 120, 300, 900, 3600, 86400)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a run is about; becomes labels."""

    pipeline: str
    table: str
    dead_letter_table: str
    version: str
    engine: str = "embedded"


class Metrics:
    """The registry and one method per thing that happens. Thread-safe, never raises.

    Made once per run; `registry` goes to the HTTP server, the rest is called by `Observation`.
    """

    def __init__(self, subject: Subject) -> None:
        self.registry = CollectorRegistry()
        self._subject = subject
        self._tables = {"data": subject.table, "dead_letters": subject.dead_letter_table}
        self._shown: set[tuple[str, str]] = set()
        self._watched: set[str] = set()
        ProcessCollector(registry=self.registry)
        self._make_flow()
        self._make_lag()
        self._make_times()
        self._begin()

    def state(self, state: str) -> None:
        """Exactly one state is 1."""
        for known in STATES:
            self._state.labels(self._subject.pipeline, known).set(known == state)

    def settled(
        self, upto: Offsets, dead_by_code: Mapping[tuple[str, str], int], now: float
    ) -> None:
        """One batch is durable since `now` (epoch): one commit, or two with dead letters."""
        pipeline = self._subject.pipeline
        for part, advance in upto.items():
            self._consumed.labels(pipeline, _label(part.topic)).inc(_delivered(advance))
            self._holes.labels(pipeline).inc(advance.holes)
            for reason, count in advance.skipped.items():
                self._skipped.labels(pipeline, reason).inc(count)
        rows = sum(advance.rows for advance in upto.values())
        self._written.labels(pipeline, self._subject.table).inc(rows)
        for (stage, code), count in dead_by_code.items():
            self._dead.labels(pipeline, stage, code).inc(count)
        if dead_by_code:
            self._committed("dead_letters", now)
        self._committed("data", now)

    def commit_failed(self, stage: str) -> None:
        """A commit raised; its outcome may be unknown until the next claim."""
        self._commits.labels(self._subject.pipeline, self._tables[stage], "failed").inc()

    def stage(self, stage: str, seconds: float) -> None:
        """One stage of one batch took that long; `data` and `dead_letters` are commits."""
        self._stage_seconds.labels(self._subject.pipeline, stage).observe(seconds)
        if stage in self._tables:
            labels = self._subject.pipeline, self._tables[stage]
            self._commit_seconds.labels(*labels).observe(seconds)

    def latency(self, seconds: float) -> None:
        """From Kafka's timestamp to the commit, of the oldest record of one batch."""
        self._latency.labels(self._subject.pipeline, self._subject.table).observe(seconds)

    def lag(self, part: Partition, at: Standing, seconds: float | None) -> None:
        """How far one owned partition is behind; `seconds` is None while nothing tells it."""
        labels = self._subject.pipeline, _label(part.topic), str(part.partition)
        self._shown.add(labels[1:])
        self._lag_records.labels(*labels).set(at.lag)
        if seconds is not None:
            self._lag_seconds.labels(*labels).set(seconds)
        if at.committed_ms is not None:
            self._committed_time.labels(*labels).set(at.committed_ms / 1000)

    def keep_only(self, owned: Iterable[Partition]) -> None:
        """Stop showing partitions that are not ours: their lag would stand still for ever."""
        kept = {(_label(part.topic), str(part.partition)) for part in owned}
        for topic, partition in self._shown - kept:
            for gauge in (self._lag_records, self._lag_seconds, self._committed_time):
                gauge.remove(self._subject.pipeline, topic, partition)
        self._shown &= kept

    def breaker(self, owned: Iterable[str], flooded: Collection[str]) -> None:
        """Which of the topics of our partitions are in flood; the others of ours are not."""
        topics = {_label(topic) for topic in owned}
        for topic in self._watched - topics:
            self._breaker.remove(self._subject.pipeline, topic)
        self._watched = topics
        open_ = {_label(topic) for topic in flooded}
        for topic in topics:
            self._breaker.labels(self._subject.pipeline, topic).set(topic in open_)

    def flood(self, topic: str, *, is_open: bool) -> None:
        """The breaker of a topic opened or closed, also while none of its partitions is ours."""
        self._watched.add(_label(topic))
        self._breaker.labels(self._subject.pipeline, _label(topic)).set(is_open)

    def buffered(self, records: int, size_bytes: int) -> None:
        """What is in memory and not yet durable."""
        self._buffer_records.labels(self._subject.pipeline).set(records)
        self._buffer_bytes.labels(self._subject.pipeline).set(size_bytes)

    def rebalanced(self) -> None:
        """Kafka changed the assignment."""
        self._rebalances.labels(self._subject.pipeline).inc()

    def fenced(self) -> None:
        """Another writer was newer, or a commit's outcome was unknown."""
        self._fenced.labels(self._subject.pipeline).inc()

    def retried(self, error: str) -> None:
        """One more attempt after an error of this class."""
        self._retries.labels(self._subject.pipeline, error).inc()

    def _committed(self, stage: str, now: float) -> None:
        labels = self._subject.pipeline, self._tables[stage]
        self._commits.labels(*labels, "ok").inc()
        self._last_commit.labels(*labels).set(now)

    def _make_flow(self) -> None:
        table = ("pipeline", "table")
        self._build = self._gauge("build_info", "Always 1.", "version", "engine", "python")
        self._state = self._gauge("pipeline_state", "1 for the present state.", "pipeline", "state")
        self._consumed = self._counter(
            "records_consumed", "Records delivered by Kafka and settled.", "pipeline", "topic"
        )
        self._written = self._counter("records_written", "Rows committed.", *table)
        self._dead = self._counter(
            "records_dead_lettered", "Dead letters committed.", "pipeline", "stage", "code"
        )
        self._skipped = self._counter(
            "records_skipped", "Records left out by rule.", "pipeline", "reason"
        )
        self._breaker = self._gauge(
            "breaker_open", "1 while dead letters of the topic are a flood.", "pipeline", "topic"
        )
        self._holes = self._counter("holes", "Offsets that Kafka never delivered.", "pipeline")
        self._buffer_records = self._gauge(
            "buffer_records", "Records in memory, not yet committed.", "pipeline"
        )
        self._buffer_bytes = self._gauge(
            "buffer_bytes", "Bytes in memory, not yet committed.", "pipeline"
        )
        self._rebalances = self._counter("rebalances", "Changes of the assignment.", "pipeline")
        self._fenced = self._counter(
            "fenced", "Ownership lost to a newer writer or an unknown outcome.", "pipeline"
        )
        self._retries = self._counter(
            "retries", "New attempts after something was unavailable.", "pipeline", "error"
        )

    def _make_lag(self) -> None:
        each = ("pipeline", "topic", "partition")
        self._lag_records = self._gauge(
            "consumer_lag_records", "End of the partition minus the committed offset.", *each
        )
        self._lag_seconds = self._gauge(
            "consumer_lag_seconds", "Age of the oldest uncommitted record, 0 when none.", *each
        )
        self._committed_time = self._gauge(
            "last_committed_record_timestamp_seconds",
            "Kafka timestamp of the newest committed record.",
            *each,
        )

    def _make_times(self) -> None:
        table = ("pipeline", "table")
        self._last_commit = self._gauge(
            "last_commit_timestamp_seconds", "When the last commit was done.", *table
        )
        self._commits = self._counter(
            "commits", "Commits by outcome: ok, failed.", *table, "outcome"
        )
        self._commit_seconds = self._histogram(
            "commit_duration_seconds", "How long a commit took.", _COMMIT_BUCKETS, *table
        )
        self._stage_seconds = self._histogram(
            "stage_duration_seconds",
            "How long one stage of a batch took.",
            _STAGE_BUCKETS,
            "pipeline",
            "stage",
        )
        self._latency = self._histogram(
            "end_to_end_latency_seconds",
            "From Kafka's timestamp to the commit, oldest record of each batch.",
            _LATENCY_BUCKETS,
            *table,
        )

    def _begin(self) -> None:
        """Show zeros from the start, so that a rate sees the first increase."""
        subject = self._subject
        self._build.labels(subject.version, subject.engine, platform.python_version()).set(1)
        self.state("starting")
        self.buffered(0, 0)
        for counter in (self._holes, self._rebalances, self._fenced):
            counter.labels(subject.pipeline)
        self._written.labels(subject.pipeline, subject.table)
        for table in self._tables.values():
            for outcome in ("ok", "failed"):
                self._commits.labels(subject.pipeline, table, outcome)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(name, meaning, labels, namespace=PREFIX, registry=self.registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(name, meaning, labels, namespace=PREFIX, registry=self.registry)

    def _histogram(
        self, name: str, meaning: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(
            name, meaning, labels, namespace=PREFIX, registry=self.registry, buckets=buckets
        )


def _label(topic: str) -> str:
    return printable(topic, _LABEL_LIMIT)


def _delivered(advance: Advance) -> int:
    return advance.rows + advance.dead + advance.held_back + sum(advance.skipped.values())
