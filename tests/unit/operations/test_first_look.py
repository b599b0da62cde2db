"""Several processes that start first at the same moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from stream_processor.operations.run import first_look
from tests.contracts.sink_adapters import delta_tables

_PROCESSES = 4


@pytest.mark.parametrize("round_", range(4))
def test_a_table_that_others_make_at_the_same_moment_is_no_failure(
    tmp_path: Path, round_: int
) -> None:
    """A deployment with replicas must not begin with processes that give up."""
    tables, together = delta_tables(str(tmp_path / str(round_))), Barrier(_PROCESSES, timeout=30)

    def start(_: int) -> int:
        sink = tables.sink()
        together.wait()
        first_look(sink)
        return len(sink.remembered().positions)

    with ThreadPoolExecutor(_PROCESSES) as pool:
        assert list(pool.map(start, range(_PROCESSES))) == [0] * _PROCESSES
