"""Dead letters back to a topic: the very bytes, each at most once, whoever is killed.

A Kafka transaction and a Delta commit cannot be one. So the desk's step comes first and notes where
the topic ends; then the transaction; then the ledger. What a killed job sent is found behind the
noted ends, by the header that every record carries (docs/explanation/replay.md).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from stream_processor.config.pipeline import Pipeline
from stream_processor.errors import ConfigurationError
from stream_processor.operations.dlq.replay_judge import (
    Judged,
    cut_letters,
    too_large,
    up_to_failure,
)
from stream_processor.operations.dlq.replay_places import IDENTITY
from stream_processor.operations.dlq.replay_request import Topic
from stream_processor.operations.dlq.replay_steps import Bench
from stream_processor.ports import Clock
from stream_processor.processor.plan import Plan
from stream_processor.sinks.kafka_transactions import Event, Header, TransactionalTopic
from stream_processor.sources.kafka_settings import KafkaSettings, admin_properties

SENT = "replay_topic"
"""The kind of the commits in the data table that stand for a transaction in Kafka."""

FROM = "x-replayed-from"
"""The header that says where a record was first: topic, topic_id, partition, offset, dlq_id, run.

Its value is a JSON object in ASCII."""

HEADERS_KEPT = (
    "content-type",
    "content-encoding",
    "correlation-id",
    "message-id",
    "message-type",
    "event-type",
    "schema",
    "schema-id",
    "schema-version",
    "__TypeId__",
)
"""Headers that describe the value go along, and those of CloudEvents (`ce_...`); in any case.

Headers of tracing and replication must not: copied, they have stopped replication, and they tie the
record to a trace that is long over."""
_CLOUD_EVENTS = re.compile(r"ce[_-]")

_READ = ("key", "value", "headers", "dlq_id", *IDENTITY)
_IDENTITY_SHAPE = pa.schema(
    [
        pa.field("topic", pa.string()),
        pa.field("topic_id", pa.string()),
        pa.field("partition", pa.int32()),
        pa.field("offset", pa.int64()),
    ]
)


@dataclass(slots=True)
class TopicTarget:
    """Records go to a topic. `topic` is open."""

    bench: Bench
    topic: TransactionalTopic

    def step(self, todo: pa.RecordBatch, there: pa.RecordBatch) -> None:
        """See `replay_steps.Target.step`; `there` is empty, as no table is looked at."""
        bench, desk = self.bench, self.bench.desk
        stamp = bench.stamp()
        sendable = partial(whole_letters, plan=bench.plan)
        judged = up_to_failure(todo, bench.request.on_fail, sendable)
        ends = {str(number): end for number, end in self.topic.ends().items()}
        note = {**bench.note(SENT, judged, stamp), "topic": self.topic.topic, "ends": ends}
        written = desk.write(None, note)
        letters = todo.take(pa.array(judged.replayed))
        if letters.num_rows:
            kill_point = bench.around.kill_point
            self.topic.send(self._events(letters), lambda: kill_point("topic.before_commit"))
            kill_point("topic.after_commit")
        actions = bench.actions(judged, there, None, stamp)
        bench.ledger.record(actions, written, {"run": bench.around.doer.run_id})
        bench.around.kill_point("replay.recorded")
        bench.settled(judged, int(desk.table.version()))

    def _events(self, letters: pa.RecordBatch) -> Iterator[Event]:
        wanted = self.bench.request.to
        allowed = wanted.headers if wanted else ()
        run_id = self.bench.around.doer.run_id
        for letter in letters.select(list(_READ)).to_pylist():
            kept, _ = split_headers(letter["headers"], allowed)
            origin = {name: letter[name] for name in (*IDENTITY, "dlq_id")} | {"run_id": run_id}
            kept.append((FROM, json.dumps(origin).encode()))
            yield Event(letter["key"], letter["value"], kept)


def open_topic(pipeline: Pipeline, name: str, clock: Clock) -> TransactionalTopic:
    """The topic, with every older sender of this pipeline ended. Raises `Unavailable`."""
    settings = KafkaSettings(kafka=pipeline.source.kafka, group_id=pipeline.group_id)
    transactional_id = f"{pipeline.pipeline_id}.replay"
    topic = TransactionalTopic(admin_properties(settings), name, transactional_id, clock)
    topic.open()
    return topic


def refuse_loop(pipeline: Pipeline, to: Topic) -> None:
    """A topic that the pipeline reads would bring the records back as new ones, for ever.

    Raises `ConfigurationError` unless a person has said that it is meant.
    """
    kafka = pipeline.source.kafka
    pattern = kafka.topics_regex
    read = to.name in kafka.topics or (pattern is not None and re.search(pattern, to.name))
    if read and not to.same_topic:
        raise ConfigurationError(
            f"this pipeline reads the topic {to.name}: what fails again would come back for ever",
            hint="replay into the table instead, name another topic, or say --yes-same-topic",
        )


def whole_letters(todo: pa.RecordBatch, plan: Plan) -> Judged:
    """All can go but those whose value was cut: they are not the event any more."""
    cut = cut_letters(todo)
    whole = np.setdiff1d(np.arange(todo.num_rows), cut)
    nothing = pa.RecordBatch.from_pylist([], schema=plan.table)
    return Judged(todo, nothing, whole, too_large(todo, cut), np.empty(0, np.int64))


def split_headers(
    headers: Sequence[Mapping[str, Any]] | None, allowed: Sequence[str]
) -> tuple[list[Header], list[str]]:
    """(those that go along, in their order; the names of those that stay behind)."""
    names = {name.casefold() for name in (*HEADERS_KEPT, *allowed)}
    kept: list[Header] = []
    left: list[str] = []
    for header in headers or ():
        name = header["name"].casefold()
        if name != FROM and (name in names or _CLOUD_EVENTS.match(name)):
            kept.append((header["name"], header["value"]))
        else:
            left.append(header["name"])
    return kept, left


def headers_left_out(letters: pa.RecordBatch, allowed: Sequence[str]) -> Counter[str]:
    """For the dry run: which headers stay behind, and how often."""
    found: Counter[str] = Counter()
    for headers in letters["headers"].to_pylist():
        found.update(split_headers(headers, allowed)[1])
    return found


def sent_by(topic: TransactionalTopic, note: Mapping[str, Any]) -> Iterator[pa.RecordBatch]:
    """The events that a step, known by the note of its commit, brought to the topic."""
    ends = {int(number): int(end) for number, end in note["ends"].items()}
    origins = (_origin(value, note["run"]) for value in topic.headers_since(ends, FROM))
    found = [origin for origin in origins if origin is not None]
    yield pa.RecordBatch.from_pylist(found, schema=_IDENTITY_SHAPE)


def find_sent(
    pipeline: Pipeline, clock: Clock, note: Mapping[str, Any]
) -> Iterator[pa.RecordBatch]:
    """The same for whoever has no topic open; opening it ends the transaction of the killed job."""
    with closing(open_topic(pipeline, note["topic"], clock)) as topic:
        yield from sent_by(topic, note)


def _origin(value: bytes, run_id: str) -> dict[str, Any] | None:
    """What a header says, if the run wrote it; anybody may write such headers."""
    try:
        told = json.loads(value)
    except ValueError:
        return None
    if not isinstance(told, dict) or told.get("run_id") != run_id:
        return None
    texts = isinstance(told.get("topic"), str) and isinstance(told.get("topic_id"), str | None)
    numbers = _is_number(told.get("partition"), 31) and _is_number(told.get("offset"), 63)
    return {name: told[name] for name in IDENTITY} if texts and numbers else None


def _is_number(value: object, bits: int) -> bool:
    return isinstance(value, int) and 0 <= value < 1 << bits
