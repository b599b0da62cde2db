"""Reads dead letters with their status, by a selector, in bounded memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from stream_processor.errors import ConfigurationError
from stream_processor.operations.dlq.selection import Selector
from stream_processor.operations.dlq.statuses import Statuses, statuses_of
from stream_processor.operations.snapshots import Snapshot, Tables, open_dead_letters, open_ledger
from stream_processor.sinks.delta_errors import mapped

_BATCH_ROWS = 1 << 16
_CODED_BATCH_ROWS = 1 << 17
_BATCHES_AHEAD = 2
_FILES_AHEAD = 1
_FEW_VALUES = frozenset({"stage", "code", "field_path", "topic", "topic_id", "fingerprint"})


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """The dead letter table and its ledger, one fixed version each. Made by `open_letters`."""

    table: Snapshot
    statuses: Statuses

    def read(
        self, selector: Selector, columns: Sequence[str], rows_max: int = _BATCH_ROWS
    ) -> Iterator[pa.RecordBatch]:
        """The chosen dead letters with these columns and `status`, in no particular order.

        Batches are at most `rows_max` rows, never empty; ask for few with the payloads, each of
        which may have 1 MiB. Raises `Unavailable`.
        """
        wanted = [*dict.fromkeys([*columns, "dlq_id"])]
        for batch in self._scan(selector, wanted, (), rows_max):
            statuses = self.statuses.of(batch["dlq_id"])
            chosen = _with_status(batch, statuses, selector.status)
            if chosen.num_rows:
                yield chosen.select([*columns, "status"])

    def read_coded(self, selector: Selector, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The same for whoever counts millions: quicker, and in larger batches.

        Columns of text may come as dictionaries, as `status` does; `acted_at` is the time of the
        newest action, null where there was none. Do not ask for `dlq_id`: it is read only where
        there is a ledger.
        """
        acted = bool(len(self.statuses))
        wanted = [*columns, *(["dlq_id"] if acted else [])]
        # Arrow compares the beginnings of texts, as ids need it, but not those of dictionaries.
        coded = _FEW_VALUES - {"fingerprint"} if selector.ids else _FEW_VALUES
        for batch in self._scan(selector, wanted, coded, _CODED_BATCH_ROWS):
            none = np.full(batch.num_rows, -1, np.int64)
            places = self.statuses.places(batch["dlq_id"]) if acted else none
            dated = batch.append_column("acted_at", self.statuses.at(places))
            chosen = _with_status(dated, self.statuses.named(places), selector.status)
            if chosen.num_rows:
                yield chosen.select([*columns, "status", "acted_at"])

    def _scan(
        self, selector: Selector, columns: Sequence[str], coded: Collection[str], rows_max: int
    ) -> Iterator[pa.RecordBatch]:
        with mapped(self.table.uri, "reading"):
            dataset = self.table.table.to_pyarrow_dataset(
                parquet_read_options=ds.ParquetReadOptions(dictionary_columns=set(coded))
            )
            yield from dataset.to_batches(
                columns=[*columns],
                filter=selector.expression(),
                batch_size=rows_max,
                batch_readahead=_BATCHES_AHEAD,
                fragment_readahead=_FILES_AHEAD,
            )


def _with_status(batch: pa.RecordBatch, statuses: pa.Array, wanted: str | None) -> pa.RecordBatch:
    batch = batch.append_column("status", statuses)
    return batch if wanted is None else batch.filter(pc.equal(statuses, wanted))


def open_letters(tables: Tables) -> DeadLetters:
    """Both tables at their heads. Raises `ConfigurationError` when there is no such table yet."""
    table = open_dead_letters(tables)
    if table is None:
        raise ConfigurationError(
            f"there is no dead letter table at {tables.dead_letters}",
            hint="check the table's address in the pipeline file, and your folder if it is relative"
            "; the first `run` creates it",
        )
    return DeadLetters(table, statuses_of(open_ledger(tables)))
