"""The archive `<table>__dlq_archive`: what purge took out of the dead letter table, complete.

Plain Parquet files beside the table, each named by its own bytes, so that a purge which died and
is run again at once writes the same file again and not a second one. Every row is a dead letter as
it was, with `actions`: all that the ledger said of it then, oldest first. A letter may stand in two
files, when others came to its day after a purge had died; `dlq_id` tells.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stream_processor.errors import StoreUnavailable
from stream_processor.operations.dlq.identity import Identity
from stream_processor.ports import ObjectStore
from stream_processor.schema import records

ACTIONS = pa.list_(pa.struct(list(records.ACTION)))
_NAME_DIGITS = 32


@dataclass(frozen=True, slots=True)
class Archive:
    """Writes and reads it. Made by `operations.assemble`; `uri` is a folder or an S3 prefix."""

    uri: str
    store: ObjectStore

    def write(self, day: date, letters: pa.Table) -> str:
        """Keep these rows, read them back and compare; return the key of their file.

        They are of one `failed_date`. Raises `StoreUnavailable`, also when what comes back is not
        what was sent: then nobody may remove anything.
        """
        data = _parquet(letters)
        digest = hashlib.sha256(data).hexdigest()[:_NAME_DIGITS]
        key = f"failed_date={day.isoformat()}/{digest}.parquet"
        self.store.put_if_absent(key, data)
        if not _same(self.store.get(key), data, letters):
            raise StoreUnavailable(
                f"the archive {self.uri}/{key} does not read back as it was written",
                hint="nothing was removed; look at that file, remove it, and start this again",
            )
        return key

    def files(self) -> Iterator[str]:
        """Every file of the archive."""
        return (key for key in self.store.list("") if key.endswith(".parquet"))

    def holding(self, identity: Identity) -> list[str]:
        """The files that hold this event. Reads four columns of each file."""
        return [key for key in self.files() if _found(self.store.get(key), identity)]

    def drop(self, key: str, identity: Identity) -> None:
        """Write the file again without this event, then remove the old one.

        Dying in between leaves both files, and the event in the old one: do it again.
        """
        rows = pq.read_table(pa.BufferReader(self.store.get(key)))
        rest = rows.filter(pc.invert(identity.rows(rows, "")))
        if rest.num_rows:
            self.write(rest["failed_date"][0].as_py(), rest)
        if rest.num_rows < rows.num_rows:
            self.store.delete(key)


def _parquet(letters: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(letters, sink, compression="zstd", write_statistics=False)
    return bytes(sink.getvalue())


def _same(found: bytes, data: bytes, letters: pa.Table) -> bool:
    if found != data:
        return False
    return bool(pq.read_table(pa.BufferReader(found)).equals(letters))


def _found(data: bytes, identity: Identity) -> bool:
    rows = pq.read_table(pa.BufferReader(data), columns=list(identity.columns("")))
    return bool(pc.any(identity.rows(rows, "")).as_py())
