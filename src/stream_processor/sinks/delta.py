"""Valid rows into a Delta table: the only commit point of a batch [B4]."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pyarrow as pa
from deltalake import DeltaTable

from stream_processor.errors import InternalError
from stream_processor.ports import Memory, Offsets, Partition, Position
from stream_processor.schema.table_rules import Broken
from stream_processor.sinks.delta_rules import TableRules
from stream_processor.sinks.delta_table import FencedTable
from stream_processor.sinks.positions import moved, note


class DeltaSink:
    """Appends rows. Implements `ports.Sink`; made by `operations.assemble`.

    `rules` is said in the metadata of every commit: what the rows were made by.
    """

    def __init__(self, table: FencedTable, rules: Mapping[str, str] | None = None) -> None:
        self._table = table
        self._rules = dict(rules or {})

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

    def broken(self, rows: pa.RecordBatch) -> Mapping[int, Broken]:
        """See `ports.Sink.broken`: NOT NULL and CHECK of a table that somebody else made."""
        return broken_rows(self._table.rules, rows)

    def write(self, rows: pa.RecordBatch, upto: Offsets) -> None:
        """Commit the rows with the offsets, also when there are none: the offsets move [B4]."""
        owned = self._table.owned()
        positions = {p: moved(p, owned[p], advance) for p, advance in upto.items() if p in owned}
        if len(positions) != len(upto):
            raise InternalError("a batch reached the data table for a partition that it lost")
        self._table.append(fitted(rows, self._table.base), positions, {**self._rules, **note(upto)})

    def close(self) -> None:
        """See `ports.Sink.close`."""
        self._table.close()


def broken_rows(rules: TableRules, rows: pa.RecordBatch) -> Mapping[int, Broken]:
    """The rows that a table with these rules would refuse; by the sink, and by a replay."""
    if not rules or not rows.num_rows:
        return {}
    return rules.broken(fitted_to(rules.schema, rows))


def fitted(rows: pa.RecordBatch, table: DeltaTable) -> pa.Table | None:
    """The rows in the order and types of the table; columns that others added are null.

    Called by the sinks, and by a replay at its desk. None where there are no rows. Raises
    `InternalError` for a column that the table has not: a claim adds them.
    """
    schema = pa.schema(table.schema().to_arrow())
    unknown = set(rows.schema.names) - set(schema.names)
    if unknown:
        raise InternalError(f"rows have columns that the table has not: {sorted(unknown)}")
    return fitted_to(schema, rows) if rows.num_rows else None


def fitted_to(schema: pa.Schema, rows: pa.RecordBatch) -> pa.Table:
    """The same for a schema that is known already."""
    data = pa.Table.from_batches([rows])
    columns, fields = [], []
    for field in schema:
        fields.append(field)
        if field.name in data.column_names:
            columns.append(data[field.name].cast(field.type))
        else:
            columns.append(pa.nulls(data.num_rows, field.type))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))
