"""Taking over partitions: ON ASSIGN of the commit protocol, A1 to A5.

Runs at the start, after every rebalance and after every exception: whatever happened, both tables
are fenced and asked anew, and the source starts exactly where the data table stands.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from stream_processor.errors import (
    DecisionNeeded,
    OffsetGap,
    TableReplaced,
    TableRewound,
    TopicRecreated,
)
from stream_processor.ports import (
    DeadLetterSink,
    Decisions,
    Memory,
    Partition,
    Position,
    Sink,
    Source,
    StartAt,
)
from stream_processor.schema.positions import bare_id


@dataclass(frozen=True, slots=True)
class Claim:
    """Who we are for each assigned partition, and which positions must be written down first."""

    owned: frozenset[Partition]
    anchors: Mapping[Partition, Position]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a person set: the decisions of this run, and whether topics are found by a pattern.

    `resumes` says whether to go on behind a pause of the breaker (`Position.paused`).
    """

    decisions: Decisions
    by_pattern: bool
    resumes: Callable[[int], bool] = bool


def take_over(
    source: Source, sink: Sink, dead_letters: DeadLetterSink, terms: Terms
) -> Mapping[Partition, Position]:
    """Own every assigned partition in both tables, and start the source. Returns the positions.

    Raises `Fenced` when another writer was faster (start again, with jitter), a `DecisionNeeded`
    when a person must say how to go on, `Unavailable` when the world is away.
    """
    assigned = source.assignment()
    if not assigned:  # more processes than partitions, or the group has not met yet
        source.start({})
        return {}
    memory = sink.remembered()
    claim = resolve(assigned, memory, source, terms)
    positions = sink.claim(claim.owned, claim.anchors)  # A1
    evidence = dead_letters.remembered()
    _refuse_lost_evidence(positions, evidence, memory, terms.decisions)
    unknown = {p: positions[p] for p in claim.owned if p.key not in evidence.positions}  # A2a
    letters = dead_letters.claim(claim.owned, unknown)  # A2
    sink.recheck()  # A3
    waiting = {
        p: position.next_offset
        for p, position in positions.items()
        if letters[p].next_offset > position.next_offset
    }
    held = dead_letters.held_offsets(waiting)  # A4
    source.start(
        {p: StartAt(at.next_offset, held.get(p, frozenset())) for p, at in positions.items()}
    )  # A5
    return positions


def resolve(assigned: Collection[Partition], memory: Memory, source: Source, terms: Terms) -> Claim:
    """Find each partition's incarnation and anchor what is new. Writes nothing.

    `None` is not 0: a partition that the table does not know gets an anchor, for the whole topic in
    one commit, so that a second process on a first start cannot take its half for "new".
    """
    owned = {incarnation(p, memory) for p in assigned}
    known = {p: memory.positions[p.key] for p in owned if p.key in memory.positions}
    new = owned - known.keys()
    anchors: dict[Partition, Position] = {}
    if new:
        _refuse_recreated(new, memory, terms.decisions)
        _refuse_replaced(new, source, terms.decisions)
        anchors |= _anchors(new, memory, source, terms)
    anchors |= {
        p: replace(at, paused=0)
        for p, at in known.items()
        if at.paused and terms.resumes(at.paused)
    }
    marks = source.watermarks([p.bare for p in known])
    for partition, position in known.items():
        low, high = marks[partition.bare]
        if position.next_offset > high:
            rewound = _next_incarnation(partition, position, high, terms.decisions)
            owned = owned - {partition} | {rewound}
            anchors[rewound] = Position(next_offset=high, start=high)
        elif position.next_offset < low and not terms.decisions.accept_gap:
            raise _gap(partition, position, low)
    return Claim(frozenset(owned), anchors)


def incarnation(partition: Partition, memory: Memory) -> Partition:
    """The newest incarnation that the table knows: after accepted rewinds `~1`, `~2`, ..."""
    if partition.topic_id is None:
        return partition
    number = 0
    while partition.after_rewinds(number + 1).key in memory.positions:
        number += 1
    return partition.after_rewinds(number)


def _anchors(
    new: Iterable[Partition], memory: Memory, source: Source, terms: Terms
) -> dict[Partition, Position]:
    identities = {bare_id(identity) for identity, _ in memory.positions}
    fresh = {p.topic for p in new if (p.topic_id or p.topic) not in identities}
    if terms.by_pattern and not memory.positions:
        # The first fence of all settles where every topic of now begins, also those that only
        # other processes will own: to them a topic without a position would look found later.
        fresh |= set(source.topics())
    later = [p for p in new if p.topic not in fresh]
    # A topic that a pattern finds after the first start was not there then: from its beginning.
    # So does a topic that was created again, since the person accepted its new events.
    begins = {
        topic
        for topic in fresh
        if memory.topics.get(topic) or (terms.by_pattern and memory.positions)
    }
    found = dict(source.anchors(fresh))
    from_low = [*later, *(p for p in found if p.topic in begins)]
    lows = source.watermarks(from_low)
    found |= {p: lows[p][0] for p in from_low}
    return {p: Position(next_offset=offset, start=offset) for p, offset in found.items()}


def _refuse_recreated(new: Iterable[Partition], memory: Memory, decisions: Decisions) -> None:
    for partition in sorted(new):
        before = memory.topics.get(partition.topic, ())
        known = partition.topic_id is None or not before or partition.topic_id in before
        if not known and partition.topic not in decisions.accept_recreated:
            raise TopicRecreated(
                f"topic {partition.topic} was deleted and created again: same name, other "
                f"events (id {before[-1]} before, {partition.topic_id} now)",
                hint=f"`run --accept-recreated {partition.topic}` reads it from its beginning",
            )


def _refuse_replaced(new: Collection[Partition], source: Source, decisions: Decisions) -> None:
    if decisions.reset:
        return
    recreated = {p for p in new if p.topic in decisions.accept_recreated}
    for partition, offset in sorted(source.group_offsets(set(new) - recreated).items()):
        raise TableReplaced(
            f"the consumer group has read {partition} up to {offset}, but the table knows nothing "
            "of it: the table was replaced, or the group is used by something else",
            hint="name the right table or another group_id, or use `run --reset` to begin as at "
            "a first start",
        )


def _next_incarnation(
    partition: Partition, position: Position, high: int, decisions: Decisions
) -> Partition:
    if not decisions.accept_rewind:
        raise _rewound(partition, position, high)
    if partition.topic_id is None:
        raise TableRewound(
            f"{partition}: Kafka ends at {high}, below the table's offset {position.next_offset}, "
            "and without topic ids new events cannot be told from the old ones",
            hint="write to a new table",
        )
    return partition.after_rewinds(partition.rewinds + 1)


def _rewound(partition: Partition, position: Position, high: int) -> DecisionNeeded:
    return TableRewound(
        f"{partition}: Kafka ends at {high}, below the table's offset {position.next_offset}: "
        "the log was truncated, and new events will use the old offsets",
        hint="`run --accept-rewind` goes on at the end of the log, as if the topic were new",
    )


def _refuse_lost_evidence(
    positions: Mapping[Partition, Position], evidence: Memory, data: Memory, decisions: Decisions
) -> None:
    """Dead letters that were there and are gone are in neither table, which nobody may accept."""
    if evidence.rewound and not data.rewound:
        raise TableRewound(
            "the dead letter table was restored to an older version, the data table was not: "
            "dead letters since then are in neither",
            hint="restore the dead letter table to the version before its RESTORE; nothing is lost",
        )
    for partition, position in sorted(positions.items()):
        known = partition.key in evidence.positions
        if not known and position.next_offset > position.start and not decisions.reset:
            raise TableReplaced(
                f"the dead letter table knows nothing of {partition}, the data table stands at "
                f"{position.next_offset}: the dead letter table was replaced, or is another one",
                hint="name the right table in dlq.table, or use `run --reset` to begin a new one",
            )


def _gap(partition: Partition, position: Position, low: int) -> DecisionNeeded:
    return OffsetGap(
        f"{partition}: Kafka begins at {low}, above the table's offset {position.next_offset}: "
        f"{low - position.next_offset} offsets are gone (retention)",
        hint="`run --accept-gap` counts them as a hole with the reason `gap` and goes on",
    )
