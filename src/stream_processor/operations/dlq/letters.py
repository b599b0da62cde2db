"""Reads dead letters with their status, by a selector, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from stream_processor.errors import ConfigurationError
from stream_processor.operations.dlq.selection import Selector
from stream_processor.operations.dlq.statuses import Statuses, statuses_of
from stream_processor.operations.snapshots import Snapshot, Tables, open_dead_letters, open_ledger
from stream_processor.sinks.delta_errors import mapped

_BATCH_ROWS = 1 << 16
_BATCHES_AHEAD = 2
_FILES_AHEAD = 1


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """The dead letter table and its ledger, one fixed version each. Made by `open_letters`."""

    table: Snapshot
    statuses: Statuses

    def read(self, selector: Selector, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The chosen dead letters with these columns and `status`, in no particular order.

        Batches are at most 65,536 rows, never empty. Raises `Unavailable`.
        """
        wanted = [*dict.fromkeys([*columns, "dlq_id"])]
        with mapped(self.table.uri, "reading"):
            batches = self.table.table.to_pyarrow_dataset().to_batches(
                columns=wanted,
                filter=selector.expression(),
                batch_size=_BATCH_ROWS,
                batch_readahead=_BATCHES_AHEAD,
                fragment_readahead=_FILES_AHEAD,
            )
            for batch in batches:
                chosen = self._with_status(batch, selector.status)
                if chosen.num_rows:
                    yield chosen.select([*columns, "status"])

    def _with_status(self, batch: pa.RecordBatch, status: str | None) -> pa.RecordBatch:
        statuses = self.statuses.of(batch["dlq_id"])
        batch = batch.append_column("status", statuses)
        return batch if status is None else batch.filter(pc.equal(statuses, status))


def open_letters(tables: Tables) -> DeadLetters:
    """Both tables at their heads. Raises `ConfigurationError` when there is no such table yet."""
    table = open_dead_letters(tables)
    if table is None:
        raise ConfigurationError(
            f"there is no dead letter table at {tables.dead_letters}",
            hint="check the table's address in the pipeline file; the first `run` creates it",
        )
    return DeadLetters(table, statuses_of(open_ledger(tables)))
