"""Valid rows into a Delta table: the only commit point of a batch [B4]."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from stream_processor.errors import InternalError
from stream_processor.ports import Advance, Memory, Offsets, Partition, Position
from stream_processor.sinks.delta_table import FencedTable

# A compacted topic may have a hole at every second offset; the proof needs their number only.
_HOLE_RANGES_NOTED_MAX = 1_000


class DeltaSink:
    """Appends rows. Implements `ports.Sink`; made by `operations.assemble`."""

    def __init__(self, table: FencedTable) -> None:
        self._table = table

    def remembered(self) -> Memory:
        """See `ports.Sink.remembered`."""
        return self._table.remembered()

    def claim(
        self, owned: Collection[Partition], anchors: Mapping[Partition, Position]
    ) -> Mapping[Partition, Position]:
        """See `ports.Sink.claim`."""
        return self._table.claim(owned, anchors)

    def recheck(self) -> None:
        """See `ports.Sink.recheck`."""
        self._table.recheck()

    def write(self, rows: pa.RecordBatch, upto: Offsets) -> None:
        """Commit the rows with the offsets, also when there are none: the offsets move [B4]."""
        owned = self._table.owned()
        positions = {p: moved(p, owned[p], advance) for p, advance in upto.items() if p in owned}
        if len(positions) != len(upto):
            raise InternalError("a batch reached the data table for a partition that it lost")
        self._table.append(fitted(rows, self._table), positions, note(upto))

    def close(self) -> None:
        """See `ports.Sink.close`."""
        self._table.close()


def moved(partition: Partition, position: Position, advance: Advance) -> Position:
    """Where a partition stands after a batch. Raises `InternalError` when the batch does not fit."""
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
    )


def fitted(rows: pa.RecordBatch, table: FencedTable) -> pa.Table | None:
    """The rows in the order and types of the table; columns that others added are null."""
    if not rows.num_rows:
        return None
    data = pa.Table.from_batches([rows])
    columns, fields = [], []
    for field in pa.schema(table.base.schema().to_arrow()):
        fields.append(field)
        if field.name in data.column_names:
            columns.append(data[field.name].cast(field.type))
        else:
            columns.append(pa.nulls(data.num_rows, field.type))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


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
            }
            for partition, advance in upto.items()
        }
    }
