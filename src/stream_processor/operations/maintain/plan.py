"""What is to be done to the tables of a pipeline, by their logs and one list of their files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deltalake import DeltaTable

from stream_processor.operations.maintain.folding import unfolded
from stream_processor.operations.maintain.places import Place, held_back, open_place
from stream_processor.operations.maintain.report import MaintainPlan, TablePlan
from stream_processor.ports import Clock
from stream_processor.sinks import delta_log
from stream_processor.sinks.delta_cleanup import (
    Expired,
    Log,
    expired,
    log_retention_seconds,
    read_log,
)
from stream_processor.sinks.delta_compact import groups
from stream_processor.sinks.delta_delete import vacuumable
from stream_processor.sinks.delta_files import files_of

# Writers make a checkpoint every 20 commits; one more for fewer would be no quicker to open.
_BEHIND_MAX = 20
_REST_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Standing:
    """One table at a moment: its handle, and its whole log, which costs a long list."""

    table: DeltaTable
    log: Log


def stand(place: Place) -> Standing | None:
    """Look at a table; None where there is none yet. Raises as `open_place`."""
    table = open_place(place)
    return None if table is None else Standing(table, read_log(place.store))


def expired_now(place: Place, now: Standing, folded: int, clock: Clock) -> Expired | None:
    """What may be cleaned when nothing is held back and all up to version `folded` is folded."""
    before_ms = (clock.now() - log_retention_seconds(now.table)) * 1000
    return expired(place.store, now.log, folded, before_ms)


def plan(pipeline_id: str, places: Sequence[Place], clock: Clock) -> MaintainPlan:
    """Called by `maintain` without `--apply`. Writes nothing. Raises `Unavailable`."""
    found = [(place, stand(place)) for place in places]
    return MaintainPlan(pipeline_id, tuple(_plan(p, now, clock) for p, now in found if now))


def _plan(place: Place, now: Standing, clock: Clock) -> TablePlan:
    version = int(now.table.version())
    due = None if place.ranges is None else unfolded(place, now.table, now.log)
    held = held_back(place, now.table)
    old = None if due is None or held else expired_now(place, now, version, clock)
    small = groups(place.spec.uri, now.table)
    files = files_of(place.spec.uri, now.table)
    return TablePlan(
        table=place.name,
        uri=place.spec.uri,
        version=version,
        log_versions=len(now.log.commits),
        files=files.count,
        size_bytes=files.size_bytes,
        small=sum(group.files for group in small),
        small_bytes=sum(group.size_bytes for group in small),
        unfolded=due.commits if due else 0,
        missing=due.missing if due else 0,
        unnamed=0 if held else vacuumable(place.spec.uri, now.table),
        since_checkpoint=behind_checkpoint(now),
        checkpoint=checkpoint_due(place, now, clock),
        expired=len(old.keys) if old else 0,
        expired_before=old.before if old else None,
        held_back=held,
    )


def checkpoint_due(place: Place, now: Standing, clock: Clock) -> bool:
    """Whether opening is slow without one, or the table is at rest: only what is before a
    checkpoint is ever cleaned, and a table at rest gets none by itself."""
    behind = behind_checkpoint(now)
    if behind == 0 or behind >= _BEHIND_MAX:
        return behind > 0
    try:
        newest = delta_log.commit_at(place.store, int(now.table.version()))
    except FileNotFoundError:
        return False
    return clock.now() - newest.written_ms / 1000 > _REST_SECONDS


def behind_checkpoint(now: Standing) -> int:
    """How many commits opening the table reads one by one."""
    head = int(now.table.version())
    known = [version for version in now.log.checkpoints if version <= head]
    return head - known[-1] if known else head + 1
