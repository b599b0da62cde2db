"""A long-lived writer changes its handle of the table, and never its place in the log."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream_processor.config.pipeline import StorageConfig
from stream_processor.errors import Fenced
from stream_processor.ports import Advance, Decisions, Partition, Position
from stream_processor.runtime.object_store import open_store
from stream_processor.sinks.delta import DeltaSink
from stream_processor.sinks.delta_create import TableSpec
from stream_processor.sinks.delta_table import FencedTable
from tests.contracts.sink_adapters import P0, P1, ROWS, rows

COMMITS = 45  # more than two handles live


def writer(folder: Path) -> DeltaSink:
    uri = str(folder / "orders")
    spec = TableSpec(uri, ROWS, "pipe")
    return DeltaSink(
        FencedTable(spec, open_store(uri, StorageConfig()), name="data", decisions=Decisions())
    )


def claimed(sink: DeltaSink, partition: Partition) -> DeltaSink:
    known = sink.remembered().positions
    sink.claim([partition], {} if partition.key in known else {partition: Position(0)})
    return sink


def commit(sink: DeltaSink, partition: Partition, offset: int) -> None:
    sink.write(rows(partition, offset), {partition: Advance(offset, offset + 1, rows=1)})


@pytest.mark.parametrize("after", range(18, 24))
def test_a_new_handle_is_fenced_like_the_old_one(tmp_path: Path, after: int) -> None:
    """A handle that jumped to the head would let a writer commit what another one took over."""
    old = claimed(writer(tmp_path), P0)
    for offset in range(after):
        commit(old, P0, offset)
    new = claimed(writer(tmp_path), P0)
    with pytest.raises(Fenced):
        commit(old, P0, after)
    commit(new, P0, after)
    assert new.remembered().positions[P0.key].next_offset == after + 1


def test_two_writers_of_one_table_outlive_their_handles(tmp_path: Path) -> None:
    """Partitions of other processes move the head: that must disturb nobody, handle or not."""
    one, other = claimed(writer(tmp_path), P0), claimed(writer(tmp_path), P1)
    for offset in range(COMMITS):
        commit(one, P0, offset)
        commit(other, P1, offset)
    assert {at.next_offset for at in one.remembered().positions.values()} == {COMMITS}
