"""The names under which a Delta table remembers one pipeline (commit protocol, a.1).

    <pipeline id>/<topic id>/<partition>           next offset to process
    <pipeline id>/<topic id>/<partition>#epoch     how often its owner changed
    <pipeline id>/<topic id>/<partition>#start     where it began
    <pipeline id>/<topic id>/<partition>#holes     offsets that Kafka never delivered
    <pipeline id>/<topic id>/<partition>#skipped   events left out by rule
    <pipeline id>/<topic id>/<partition>#expired   rows removed by our own retention
    <pipeline id>/<topic id>/<partition>#paused    by which rules the breaker paused here; else 0
    <pipeline id>/<topic id>#name=<topic>          this name's n-th incarnation, from 1

Each is an app id of Delta's `txn` action, and its version is the number. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from stream_processor.ports import Memory, Partition, Position
from stream_processor.schema.positions import bare_id

_COUNTERS = ("start", "holes", "skipped", "expired", "paused")
_ATTRIBUTES = ("", "epoch", *_COUNTERS)
_UNKNOWN = Position(next_offset=-1)


def app(pipeline_id: str, key: tuple[str, int]) -> str:
    """The id of the next offset of one partition (`Partition.key`); the same in both tables."""
    identity, number = key
    return f"{pipeline_id}/{identity}/{number}"


def changes(
    pipeline_id: str, key: tuple[str, int], position: Position, before: Position | None
) -> dict[str, int]:
    """What a commit says of one partition: its offset always [B0], the rest where it changed.

    `before` is what the table holds; None writes everything (decision 0007).
    """
    name = app(pipeline_id, key)
    known = _numbers(before) if before is not None else {}
    return {
        name + suffix: number
        for suffix, number in _numbers(position).items()
        if suffix == "" or known.get(suffix) != number
    }


def _numbers(position: Position) -> dict[str, int]:
    """Everything that a position is made of, by the suffix of its id."""
    return {
        "": position.next_offset,
        "#epoch": position.epoch,
        **{f"#{counter}": getattr(position, counter) for counter in _COUNTERS},
    }


def topic_txn(pipeline_id: str, partition: Partition, memory: Memory) -> dict[str, int]:
    """The id that ties a topic's name to its Kafka id, unless it is remembered already.

    Nothing where the name itself is the identity.
    """
    if partition.topic_id is None:
        return {}
    topic_id = bare_id(partition.topic_id)
    known = memory.topics.get(partition.topic, ())
    if topic_id in known:
        return {}
    return {f"{pipeline_id}/{topic_id}#name={partition.topic}": len(known) + 1}


def read(pipeline_id: str, txns: Mapping[str, int]) -> Memory:
    """Turn the `txn` entries of a table into what it remembers of this pipeline."""
    positions: dict[tuple[str, int], Position] = {}
    topics: dict[str, list[tuple[int, str]]] = {}
    for app_id, version in txns.items():
        owner, _, rest = app_id.partition("/")
        if owner != pipeline_id:
            continue
        path, _, attribute = rest.partition("#")
        if attribute.startswith("name="):
            topics.setdefault(attribute.removeprefix("name="), []).append((version, path))
            continue
        identity, _, number = path.rpartition("/")
        if not number.isdigit() or attribute not in _ATTRIBUTES:
            continue  # not an id of ours, whoever wrote it
        key = (identity, int(number))
        attribute = attribute or "next_offset"
        positions[key] = replace(positions.get(key, _UNKNOWN), **{attribute: version})
    return Memory(
        positions={key: known for key, known in positions.items() if known.next_offset >= 0},
        topics={name: tuple(tid for _, tid in sorted(found)) for name, found in topics.items()},
    )
