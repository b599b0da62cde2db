"""How many files a table has now, and how large, as its log says."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from stream_processor.sinks.delta_errors import mapped

SMALL_FILE_BYTES = 32 * 2**20
"""A file below this is small: compaction joins it with others."""


@dataclass(frozen=True, slots=True)
class Files:
    """The files of one version. `rows` leaves out those of files whose writer did not count them;
    `small` files are among `count`."""

    count: int
    size_bytes: int
    rows: int
    small: int


def files_of(uri: str, table: DeltaTable) -> Files:
    """Called by `status`, `table info`, `verify` and the plan of `maintain`. Raises `Unavailable`.

    Reads the log that the handle holds already, no file of the table.
    """
    with mapped(uri, "reading the log of"):
        found = pa.table(table.get_add_actions())
    sizes = found["size_bytes"]
    return Files(
        count=found.num_rows,
        size_bytes=int(pc.sum(sizes).as_py() or 0),
        rows=int(pc.sum(found["num_records"]).as_py() or 0),
        small=int(pc.sum(pc.less(sizes, SMALL_FILE_BYTES)).as_py() or 0),
    )
