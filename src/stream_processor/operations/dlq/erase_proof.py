"""After an erase: waits until vacuum may remove the bytes, lets it, and proves they are gone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from stream_processor.operations.dlq.byte_search import (
    Hit,
    Needles,
    event_in,
    look,
    needles_of,
)
from stream_processor.operations.dlq.erase import EraseReport
from stream_processor.operations.dlq.identity import DATA, LETTERS, Identity
from stream_processor.operations.dlq.keepers import Keepers, Place
from stream_processor.operations.dlq.replay_request import Surroundings
from stream_processor.operations.snapshots import Snapshot, open_data, open_dead_letters
from stream_processor.sinks.delta_create import TableSpec, load
from stream_processor.sinks.delta_delete import vacuum
from stream_processor.sinks.delta_errors import mapped

_LOOK_EVERY_SECONDS = 1.0
_MARGIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Left:
    """Something of the event that is still in the store. `where` is the address of the object."""

    where: str
    event: bool
    value: bool
    parts: int
    in_log: bool


@dataclass(frozen=True, slots=True)
class Proof:
    """What a search of every object found.

    `known`: the bytes of the event were known, else only its place could be searched for.
    `shared`: how many of its parts other events hold too, so that finding them proves nothing.
    """

    objects: int
    size_bytes: int
    known: bool
    shared: int
    left: tuple[Left, ...]

    @property
    def gone(self) -> bool:
        """Nothing of the event is left anywhere."""
        return not self.left

    @property
    def only_statistics(self) -> bool:
        """What is left are statistics in the tables' logs, which vacuum does not touch."""
        return bool(self.left) and all(each.in_log for each in self.left)

    def as_json(self) -> dict[str, Any]:
        """For `dlq erase --wait-vacuum --json`. Names objects and counts, never what they hold."""
        return {
            "gone": self.gone,
            "objects": self.objects,
            "size_bytes": self.size_bytes,
            "known": self.known,
            "shared": self.shared,
            "left": [
                {
                    "where": each.where,
                    "event": each.event,
                    "value": each.value,
                    "parts": each.parts,
                    "in_log": each.in_log,
                }
                for each in self.left
            ],
        }


def needles_for(keepers: Keepers, identity: Identity) -> Needles:
    """What to search for later; to be called before the erase, while the tables hold the event.

    After it, old files that the tables no longer name are asked; empty when none is left.
    """
    data, dead = open_data(keepers.tables), open_dead_letters(keepers.tables)
    rows = list(_rows(data, identity, DATA))
    rows += _rows(dead, identity, LETTERS) if dead else []
    for key in keepers.archive.holding(identity):
        rows += event_in(keepers.archive.store.get(key), identity)
    return needles_of(rows or _rows_of_old_files(keepers, identity))


def vacuum_when_due(keepers: Keepers, report: EraseReport, around: Surroundings) -> bool:
    """Wait until the tables' own retention is over, then vacuum both; False when asked to stop.

    `around.progress` is told the seconds, of how many. Raises `Unavailable`.
    """
    due = report.physical_at.timestamp() + _MARGIN_SECONDS
    total = max(0, math.ceil(due - around.clock.now()))
    while (left := due - around.clock.now()) > 0:
        around.progress(min(total, math.floor(total - left)), total)
        if around.stop.wait(min(left, _LOOK_EVERY_SECONDS)):
            return False
    for spec in (keepers.data, keepers.letters):
        _vacuum(spec, around)
    return True


def prove(
    keepers: Keepers, identity: Identity, needles: Needles, around: Surroundings
) -> Proof | None:
    """Search every object of both tables, the ledger and the archive; None when asked to stop.

    Reads all of them. `around.progress` is told the objects, of how many. Raises `Unavailable`.
    """
    objects = [(place, key) for place in keepers.places() for key in place.store.list("")]
    live = _live(keepers)  # after the list: what a stream has added since is no leftover
    hits: list[tuple[Place, Hit]] = []
    shared: set[bytes] = set()
    size = 0
    for number, (place, key) in enumerate(objects):
        if around.stop.is_set():
            return None
        around.progress(number, len(objects))
        try:
            data = place.store.get(key)
        except FileNotFoundError:
            continue  # removed since the list
        size += len(data)
        hit = look(key, data, needles, identity)
        if (place.uri, unquote(key)) in live:
            shared |= hit.needles
        if hit.event or hit.needles:
            hits.append((place, hit))
    left = tuple(_left(place, hit, needles, frozenset(shared)) for place, hit in hits)
    found = tuple(each for each in left if each.event or each.value or each.parts)
    return Proof(len(objects), size, bool(needles), len(shared), found)


def _left(place: Place, hit: Hit, needles: Needles, shared: frozenset[bytes]) -> Left:
    own = hit.needles - shared
    value = needles.value in own
    return Left(f"{place.uri}/{hit.key}", hit.event, value, len(own) - value, hit.in_log)


def _live(keepers: Keepers) -> set[tuple[str, str]]:
    """The files in which other events are now: those of the tables, and all of the archive."""
    archive = keepers.archive
    found = {(archive.uri, unquote(key)) for key in archive.files()}
    for snapshot in (open_data(keepers.tables), open_dead_letters(keepers.tables)):
        if snapshot is not None:
            with mapped(snapshot.uri, "reading the log of"):
                paths = pa.table(snapshot.table.get_add_actions())["path"].to_pylist()
            found |= {(snapshot.uri, unquote(path)) for path in paths}
    return found


def _rows(snapshot: Snapshot, identity: Identity, prefix: str) -> Iterator[dict[str, Any]]:
    with mapped(snapshot.uri, "reading"):
        dataset = snapshot.table.to_pyarrow_dataset()
        yield from dataset.to_table(filter=identity.expression(prefix)).to_pylist()


def _rows_of_old_files(keepers: Keepers, identity: Identity) -> Iterator[dict[str, Any]]:
    for place in keepers.places():
        for key in place.store.list(""):
            if key.endswith(".parquet") and not key.startswith("_delta_log/"):
                yield from event_in(place.store.get(key), identity)


def _vacuum(spec: TableSpec, around: Surroundings) -> None:
    table = load(spec)
    if table is not None:
        # Its own id, not the desk's: vacuum removes no row, so it takes no turn.
        txns = {f"{spec.pipeline_id}/#vacuum": int(around.clock.now())}
        vacuum(spec.uri, table, txns, {"kind": "vacuum", "run": around.doer.run_id})
