"""Dead letters into `<table>__dlq`: evidence first [B3], and what a restart must hold back [A4]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from stream_processor.ports import Memory, Offsets, Partition
from stream_processor.schema.text_column import text_column
from stream_processor.sinks.delta import DeltaSink, fitted
from stream_processor.sinks.delta_errors import mapped
from stream_processor.sinks.delta_rules import refuse_rules
from stream_processor.sinks.positions import note


class DeltaDeadLetters(DeltaSink):
    """Appends dead letters. Implements `ports.DeadLetterSink`; made by `operations.assemble`."""

    def remembered(self) -> Memory:
        """See `ports.Sink.remembered`; evidence with rules of its own could be refused."""
        memory = super().remembered()
        refuse_rules(self._table.spec.uri, self._table.rules)
        return memory

    def write(self, rows: pa.RecordBatch, upto: Offsets) -> None:
        """Commit the dead letters of a batch; a batch without any commits nothing [B3]."""
        if not rows.num_rows:
            return
        owned = self._table.owned()
        positions = {
            p: replace(owned[p], next_offset=max(owned[p].next_offset, advance.upto))
            for p, advance in upto.items()
        }
        self._table.append(fitted(rows, self._table.base), positions, note(upto))

    def held_offsets(self, since: Mapping[Partition, int]) -> Mapping[Partition, frozenset[int]]:
        """Read back the offsets that the table holds at or above `since` [A4, K].

        Membership decides, not re-classification: a changed schema between two starts is harmless.
        """
        held = {}
        for partition, offset in since.items():
            with mapped(self._table.spec.uri, "reading"):
                found = self._table.base.to_pyarrow_dataset().to_table(
                    columns=["offset"], filter=_at_or_above(partition, offset)
                )
            held[partition] = frozenset(found["offset"].to_pylist())
        return held


def _at_or_above(partition: Partition, offset: int) -> ds.Expression:
    """Typed values only: nothing of a record ever becomes text of a query."""
    identity = (
        text_column("topic_id") == pa.scalar(partition.topic_id)
        if partition.topic_id is not None
        else (text_column("topic") == pa.scalar(partition.topic)) & pc.field("topic_id").is_null()
    )
    return (
        identity
        & (pc.field("partition") == pa.scalar(partition.partition, pa.int32()))
        & (pc.field("offset") >= pa.scalar(offset, pa.int64()))
    )
