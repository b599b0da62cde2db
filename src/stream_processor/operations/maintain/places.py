"""The tables that are maintained, and what maintenance must not touch in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from deltalake import DeltaTable

from stream_processor.config.fields import SchemaFile
from stream_processor.config.pipeline import Pipeline, StorageConfig
from stream_processor.errors import TableRefused, TableRewound
from stream_processor.operations.assemble import (
    data_table,
    dead_letter_table,
    ledger,
    ledger_table,
    plan_of,
)
from stream_processor.operations.delta_access import delta_options
from stream_processor.ports import ObjectStore
from stream_processor.runtime.object_store import open_store
from stream_processor.schema.offset_ranges import OFFSET_RANGE, offsets_uri
from stream_processor.sinks import delta_log
from stream_processor.sinks.delta_create import TableSpec, complaints, load
from stream_processor.sinks.delta_desk import last_write
from stream_processor.sinks.delta_ledger import Ledger
from stream_processor.sinks.delta_offsets import OffsetRanges
from stream_processor.sinks.delta_restore import restored_version

Name = Literal["rows", "dead letters", "ledger", "ranges of rows", "ranges of dead letters"]

_HELD_BACK = (
    "vacuum and cleaning wait: a replay ended before it could say in the ledger what it had "
    "done; any `dlq replay` completes it"
)


@dataclass(frozen=True, slots=True)
class Place:
    """One table. `ranges` is where its offset ranges are folded to. None for tables whose log is
    never cleaned: the ledger, since it says there what each job did as a whole, and the ranges
    themselves; both grow slowly.

    `ledger` is the ledger that must name the replays of this table; None where there are none.
    """

    name: Name
    spec: TableSpec
    store: ObjectStore
    ranges: OffsetRanges | None
    ledger: Ledger | None = None


def places_of(pipeline: Pipeline, schema_file: SchemaFile) -> tuple[Place, ...]:
    """All tables of a pipeline file; nothing is contacted yet. Raises `ConfigurationError`."""
    rows = data_table(pipeline, plan_of(pipeline, schema_file))
    letters, actions = dead_letter_table(pipeline), ledger_table(pipeline)
    own, theirs = pipeline.sink.delta.storage, pipeline.dead_letter_storage
    of_rows, of_letters = _ranges(pipeline, rows, own), _ranges(pipeline, letters, theirs)
    return (
        Place(
            "rows",
            rows,
            open_store(rows.uri, own),
            of_rows,
            ledger(pipeline),
        ),
        Place("dead letters", letters, open_store(letters.uri, theirs), of_letters),
        Place("ledger", actions, open_store(actions.uri, theirs), None),
        Place("ranges of rows", of_rows.spec, of_rows.store, None),
        Place("ranges of dead letters", of_letters.spec, of_letters.store, None),
    )


def open_place(place: Place) -> DeltaTable | None:
    """The table at its head, None where there is none yet.

    Raises `TableRefused` for a table that is another's, `TableRewound` for one that was restored
    and no stream has looked at since: a commit of ours would bury the trace, and `Unavailable`.
    """
    table = load(place.spec)
    if table is None:
        return None
    for complaint, hint in complaints(place.spec, table):
        raise TableRefused(f"{place.spec.uri} {complaint}", hint=hint)
    if place.ranges is not None and restored_version(place.store, table.version()) is not None:
        raise TableRewound(
            f"{place.spec.uri} was restored to an older version",
            hint="`run --accept-rewind` reads again from where the table stood then; "
            "start this again afterwards",
        )
    return table


def held_back(place: Place, table: DeltaTable) -> str | None:
    """Why the oldest parts of the table must stay: one sentence; usually None.

    The log and the files of a replay's step that the ledger does not name yet are all that tells
    which events it made rows.
    """
    if place.ledger is None:
        return None
    txns = delta_log.transactions(place.store, table.version())
    last = last_write(place.spec.pipeline_id, txns, table)
    return None if last is None or place.ledger.names(last) else _HELD_BACK


def _ranges(pipeline: Pipeline, spec: TableSpec, storage: StorageConfig) -> OffsetRanges:
    uri = offsets_uri(spec.uri)
    beside = TableSpec(
        uri=uri,
        schema=OFFSET_RANGE,
        pipeline_id=pipeline.pipeline_id,
        description=f"offset ranges of the commits of {spec.uri}, kept when its log is cleaned",
        options=delta_options(storage),
    )
    return OffsetRanges(beside, open_store(uri, storage))
