"""A column of text in a filter, whatever form of text its files say they have. Pure."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc


def text_column(name: str) -> pc.Expression:
    """The column `name`, to be compared with a text; use it for every filter on a table's texts.

    A file that the Delta library wrote again (DELETE, OPTIMIZE, MERGE) says that its texts are
    views, and Arrow compares no view with a string: it fails as soon as the file's statistics do
    not decide alone.
    """
    return pc.field(name).cast(pa.string())
