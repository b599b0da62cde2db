"""The script of the memory source: what it lets a test or a person do to an engine."""

from __future__ import annotations

import pytest

from stream_processor.errors import OffsetGap, Rebalanced
from stream_processor.ports import Advance, Batch, Partition, StartAt
from stream_processor.sources.limits import BatchLimits
from stream_processor.sources.memory import (
    CRASH,
    END,
    REBALANCE,
    Crash,
    Ends,
    Event,
    MemoryLog,
    MemorySource,
)

PART = Partition("orders", "id", 0)


def event(offset: int) -> Event:
    return Event(PART, offset, b"%d" % offset)


def begun(log: MemoryLog, offset: int = 0) -> MemorySource:
    source = MemorySource(log)
    source.start({part: StartAt(offset) for part in source.assignment()})
    return source


def offsets(batch: Batch) -> list[int]:
    return batch.records.column("offset").to_pylist()


def test_a_crash_ends_the_source_but_not_the_log() -> None:
    """A crash test is a list: the next source goes on from what the tables remember."""
    log = MemoryLog.of([event(0), CRASH, event(1)])
    with pytest.raises(Crash):
        begun(log).poll()
    assert offsets(begun(log).poll()) == [0, 1]


def test_a_rebalance_forgets_what_was_read() -> None:
    """The engine must claim anew and must not see events of the claim before."""
    log = MemoryLog.of([event(0), REBALANCE, event(1)])
    hooks: list[str] = []
    source = MemorySource(log, on_revoke=lambda: hooks.append("revoked"))
    source.start({part: StartAt(0) for part in source.assignment()})
    for _ in range(2):
        with pytest.raises(Rebalanced):
            source.poll()
    assert hooks == ["revoked"]
    source.assignment()
    assert source.poll().upto == {}
    source.start({part: StartAt(1) for part in source.assignment()})
    assert offsets(source.poll()) == [1]


def test_an_end_cuts_a_batch_once() -> None:
    """Batch boundaries are data in a test; after a crash they may fall elsewhere."""
    log = MemoryLog.of([event(0), END, event(1)])
    source = begun(log)
    assert [offsets(source.poll()) for _ in range(3)] == [[0], [1], []]
    assert offsets(begun(log).poll()) == [0, 1]


def test_holes_and_markers_are_part_of_a_script() -> None:
    """Compaction and transactions are everyday life for an engine."""
    log = MemoryLog.of([event(0), event(4), Ends(PART, 7)])
    batch = begun(log).poll()
    assert offsets(batch) == [0, 4]
    assert batch.upto == {PART: 7}
    assert log.watermarks(PART) == (0, 7)


def test_a_script_may_grow_while_it_is_read() -> None:
    """Events arrive later, in life and in tests."""
    log = MemoryLog.of([event(0)])
    source = begun(log)
    assert offsets(source.poll()) == [0]
    log.script.append(event(1))
    assert offsets(source.poll()) == [1]


def test_a_batch_ends_at_its_limit_of_bytes() -> None:
    """Memory is bounded by bytes, whatever the number of rows."""
    log = MemoryLog.of([Event(PART, n, b"x" * 100) for n in range(5)])
    source = MemorySource(log, BatchLimits(rows_max=100, bytes_max=150, age_seconds=1))
    source.start({part: StartAt(0) for part in source.assignment()})
    assert [offsets(source.poll()) for _ in range(3)] == [[0, 1], [2, 3], [4]]


def test_retention_is_a_gap() -> None:
    """An engine's way through a gap can be tried without waiting for retention."""
    log = MemoryLog.of([event(5)])
    log.low[PART] = 5
    with pytest.raises(OffsetGap):
        begun(log, 3)
    source = begun(log, 5)
    source.commit({PART: Advance(5, 6)})
    assert MemorySource(log).group_offsets([PART]) == {PART: 6}
    assert source.anchors(["orders", "other"]) == {PART: 5}


@pytest.mark.parametrize("wrong", [(0, 1, 1.0), (1, 0, 1.0), (1, 1, 0.0)])
def test_a_limit_of_zero_is_refused(wrong: tuple[int, int, float]) -> None:
    """A batch that can never fill, or never end, would stop the stream without a word."""
    with pytest.raises(ValueError, match="above zero"):
        BatchLimits(*wrong)
