"""The arithmetic of what a table remembers after a batch. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from stream_processor.errors import InternalError
from stream_processor.ports import Advance, Offsets, Partition, Position

# A compacted topic may have a hole at every second offset; the proof needs their number only.
_HOLE_RANGES_NOTED_MAX = 1_000


def moved(partition: Partition, position: Position, advance: Advance) -> Position:
    """Where a partition stands after a batch. Raises `InternalError` when it does not fit."""
    if advance.since != position.next_offset or advance.upto < advance.since:
        raise InternalError(
            f"{partition}: a batch of [{advance.since}, {advance.upto}) for a table "
            f"that stands at {position.next_offset}"
        )
    return replace(
        position,
        next_offset=advance.upto,
        holes=position.holes + advance.holes,
        skipped=position.skipped + sum(advance.skipped.values()),
        paused=advance.paused,
    )


def note(upto: Offsets) -> dict[str, Any]:
    """What the commit's metadata says of each partition, for `status` and people (a.3)."""
    return {
        "partitions": {
            "/".join(map(str, partition.key)): {
                "topic": partition.topic,
                "from": advance.since,
                "to": advance.upto,
                "rows": advance.rows,
                "dead": advance.dead,
                "held": advance.held_back,
                "skipped": dict(advance.skipped),
                "holes": [list(each) for each in advance.hole_ranges[:_HOLE_RANGES_NOTED_MAX]],
                "gaps": [list(each) for each in advance.gaps],
                "flooded": advance.flooded,
            }
            for partition, advance in upto.items()
        }
    }
