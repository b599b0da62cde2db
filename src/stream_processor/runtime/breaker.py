"""The breaker: is a topic in flood, and what follows from it (docs/explanation/breaker.md).

It opens when a run of dead letters in one partition is `max_consecutive` long, or when more than
`max_ratio` of the topic's last `window_records` events are dead letters. It closes by itself when
such a window holds no event of a long run and at most half of that ratio: in between it stays as it
is, so that a topic at the limit does not open and close with every batch. Judged at the end of each
batch, in the order in which the batch holds its events. The idea of the two limits: `DlqLimit` of
Sentry's arroyo; that it slows nothing down and drops nothing is ours.

The rules are pure functions of a `Flow`; `Breaker` keeps one per topic for the engine.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import pyarrow as pa

from stream_processor.errors import BreakerOpen
from stream_processor.ports import Offsets, Partition, Position
from stream_processor.runtime.flow import Flow, Limits, after, outcomes_of

Change = tuple[str, Mapping[str, object]]
"""A name and facts, as `Observer.event` takes them."""

_GO_ON = (
    "mend the producer, or change the schema or the pipeline file: the stream goes on by itself "
    "when they judge otherwise; `run --resume` goes on with everything as it is"
)


@dataclass(frozen=True, slots=True)
class BreakerTerms:
    """What the pipeline file and a person say. `mark` is a number of today's rules, never 0.

    `resume`: go on in spite of a pause of an earlier run.
    """

    limits: Limits = Limits()  # noqa: RUF009 - frozen, so one value may be shared
    action: Literal["surge", "pause", "none"] = "none"
    mark: int = 1
    resume: bool = False


@dataclass(frozen=True, slots=True)
class _Judged:
    """One batch on its way: the flows behind it, and what changed with it."""

    flows: Mapping[str, Flow]
    changes: tuple[Change, ...] = ()


def _silent(_name: str, **_facts: object) -> None:
    """Where nobody listens."""


@dataclass(slots=True)
class Breaker:
    """State of the engine's thread: the flows of what is durable, and of at most two batches more.

    The engine asks `flooded` before a batch, tells of it with `judged` and then `settled` or
    `forgotten`, and lets `refuse` speak at the end. What was forgotten is read again, so it counts
    once. `tell` is `Observer.event`: of each topic it hears in turn that it opened and closed.
    """

    terms: BreakerTerms = BreakerTerms()
    tell: Callable[..., None] = _silent
    _durable: Mapping[str, Flow] = field(default_factory=dict)
    _ahead: deque[_Judged] = field(default_factory=deque)
    _tripped: str = ""
    _told: set[str] = field(default_factory=set)
    _resumes: bool = field(init=False)

    def __post_init__(self) -> None:
        self._resumes = self.terms.resume

    @property
    def flooded(self) -> frozenset[str]:
        """The topics of whose dead letters a sample is enough from now on."""
        if self.terms.action != "surge":
            return frozenset()
        return frozenset(topic for topic, flow in self._newest().items() if flow.open)

    def judged(self, records: pa.RecordBatch, dead: pa.RecordBatch, upto: Offsets) -> Offsets:
        """Take in what became of a batch; returns its offsets with what the tables remember."""
        if self.terms.action == "none":
            return upto
        before = self._newest()
        flows = dict(before)
        for topic, outcomes in outcomes_of(records, dead).items():
            flows[topic] = after(flows.get(topic, Flow()), outcomes, self.terms.limits)
        changed = [topic for topic in flows if flows[topic].open != _is_open(before, topic)]
        changes = tuple(self._change(topic, flows[topic], dead) for topic in changed)
        self._ahead.append(_Judged(flows, changes))
        stops = self._stops(changed, flows, changes)
        return {
            part: replace(
                advance,
                flooded=_is_open(flows, part.topic),
                paused=self.terms.mark if part.topic in stops else 0,
            )
            for part, advance in upto.items()
        }

    def settled(self) -> None:
        """The oldest judged batch is durable, and what changed with it is worth telling."""
        if self._ahead:
            landed = self._ahead.popleft()
            self._durable = landed.flows
            for name, facts in landed.changes:
                self._say(name, facts)

    def forgotten(self) -> None:
        """What was judged and is not durable will come again."""
        self._ahead.clear()
        self._tripped = ""

    def resumes(self, paused: int) -> bool:
        """Whether to go on behind a pause that was made under the rules with this mark."""
        return self._resumes or self.terms.action != "pause" or paused != self.terms.mark

    def claimed(self, positions: Mapping[Partition, Position]) -> None:
        """Partitions were taken over. Raises `BreakerOpen` if one of them is paused."""
        self._ahead.clear()
        self._durable = {
            topic: flow.only({part.partition for part in positions if part.topic == topic})
            for topic, flow in self._durable.items()
            if any(part.topic == topic for part in positions)
        }
        held = {part.topic for part, at in positions.items() if at.paused}
        if held and self.terms.action == "pause":
            self._durable = {}  # whoever goes on does so with a fresh window
            reason = "too many dead letters in " + ", ".join(sorted(held))
            for topic in sorted(held - self._told):
                self._say("breaker_opened", {"topic": topic, "action": "pause", "reason": reason})
            raise BreakerOpen(f"the breaker has paused the stream: {reason}", hint=_GO_ON)
        for topic in sorted(topic for topic in self._told if not _is_open(self._durable, topic)):
            self._say(
                "breaker_closed", {"topic": topic, "reason": "taken over with a fresh window"}
            )

    @property
    def trips(self) -> bool:
        """Whether the stream pauses behind the batch that was judged last."""
        return bool(self._tripped)

    def refuse(self) -> BreakerOpen:
        """The reason of the pause, once the batch that opened the breaker is durable."""
        error = BreakerOpen(f"the breaker has paused the stream: {self._tripped}", hint=_GO_ON)
        self._durable = {}
        self._tripped = ""
        self._resumes = False
        return error

    def _say(self, name: str, facts: Mapping[str, object]) -> None:
        topic = str(facts["topic"])
        (self._told.add if name == "breaker_opened" else self._told.discard)(topic)
        self.tell(name, **facts)

    def _newest(self) -> Mapping[str, Flow]:
        return self._ahead[-1].flows if self._ahead else self._durable

    def _stops(
        self, changed: Collection[str], flows: Mapping[str, Flow], changes: tuple[Change, ...]
    ) -> frozenset[str]:
        """The topics behind whose events nothing more is read."""
        if self.terms.action != "pause":
            return frozenset()
        opened = frozenset(topic for topic in changed if flows[topic].open)
        self._tripped = "; ".join(
            str(facts["reason"]) for _, facts in changes if facts["topic"] in opened
        )
        return opened

    def _change(self, topic: str, flow: Flow, dead: pa.RecordBatch) -> Change:
        share = f"{flow.dead:,} of the last {flow.records:,} events of {topic} are dead letters"
        facts: dict[str, object] = {
            "topic": topic,
            "dead_letters": flow.dead,
            "records": flow.records,
            "ratio": round(flow.ratio, 4),
        }
        if not flow.open:
            return "breaker_closed", {**facts, "reason": share}
        code = most_frequent_code(dead, topic)
        reason = f"{share}, mostly {code}; the longest run is {flow.longest:,}"
        return "breaker_opened", {
            **facts,
            "action": self.terms.action,
            "code": code,
            "consecutive": flow.longest,
            "reason": reason,
        }


def most_frequent_code(dead: pa.RecordBatch, topic: str) -> str:
    """The code that most dead letters of a topic have, the first in the alphabet among equals."""
    letters = pa.Table.from_batches([dead.select(["topic", "code"])])
    found = letters.group_by(["topic", "code"]).aggregate([([], "count_all")]).to_pylist()
    counts = {row["code"]: row["count_all"] for row in found if row["topic"] == topic}
    return min(counts, key=lambda code: (-counts[code], code), default="-")


def _is_open(flows: Mapping[str, Flow], topic: str) -> bool:
    return topic in flows and flows[topic].open
