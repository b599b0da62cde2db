"""The record batches of many slices as one, in little more memory than that one."""

from __future__ import annotations

import pyarrow as pa


def joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    """One batch of all, of which there is at least one; empties the list.

    Column by column, each let go before the next: so only one column at a time is there twice.
    Called by the kernel, which keeps no other reference to the batches.
    """
    schema = batches[0].schema
    by_batch = [batch.columns for batch in batches]
    batches.clear()
    columns = []
    for place in range(len(schema)):
        pieces = [columns_of_one[place] for columns_of_one in by_batch]
        for columns_of_one in by_batch:
            columns_of_one[place] = None
        columns.append(pa.concat_arrays(pieces))
    pa.default_memory_pool().release_unused()  # Arrow would keep what the pieces had
    return pa.RecordBatch.from_arrays(columns, schema=schema)
