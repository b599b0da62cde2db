"""Joins the small files of one table, partition by partition, the oldest first."""

from __future__ import annotations

from dataclasses import dataclass

from deltalake import DeltaTable

from stream_processor.errors import Fenced, StreamProcessorError
from stream_processor.operations.dlq.replay_request import Surroundings
from stream_processor.operations.maintain.places import Place
from stream_processor.operations.maintain.request import Spending
from stream_processor.sinks import delta_log
from stream_processor.sinks.delta_compact import compact, groups
from stream_processor.sinks.delta_log import note_of
from stream_processor.sinks.delta_restore import MAINTENANCE
from stream_processor.sinks.delta_turn import Turn


@dataclass(frozen=True, slots=True)
class Joined:
    """What the steps of one table did together. `left` small files are there still."""

    before: int
    after: int
    size_bytes: int
    left: int


def compact_place(
    place: Place, table: DeltaTable, spending: Spending, around: Surroundings
) -> Joined:
    """Step by step until nothing is small, the budget is used up, or it is asked to end.

    Raises `Fenced` when another maintenance has the turn, or somebody removed files of a step
    meanwhile, and `Unavailable`. What was done stays done. A death in a step leaves files that no
    commit names, and a turn that is taken over later.
    """
    if not groups(place.spec.uri, table):
        return Joined(0, 0, 0, 0)
    turn = Turn(place.spec, place.store, around.doer.run_id, around.clock.now)
    begun = turn.take()
    around.kill_point("compact.turn_taken")
    try:
        done = _steps(place, begun, turn, spending, around)
    except StreamProcessorError:
        turn.leave()
        raise
    turn.leave()
    return done


def _steps(
    place: Place, begun: DeltaTable, turn: Turn, spending: Spending, around: Surroundings
) -> Joined:
    """The groups as they are at the beginning of our turn, each once."""
    note = {"kind": MAINTENANCE, "step": "compact", "run": around.doer.run_id}
    due = groups(place.spec.uri, begun)
    files = sum(group.files for group in due)
    before = after = size = reached = 0
    for group in due:
        if spending.used_up or around.stop.is_set():
            break
        around.kill_point("compact.before_step")
        table = turn.handle()
        since = int(table.version())
        done = compact(place.spec.uri, table, group, note)
        around.kill_point("compact.after_step")
        _refuse_strangers(place, since)
        before, after, size = before + done.before, after + done.after, size + done.size_bytes
        reached += group.files
        around.progress(reached, files)
        spending.spend(done.before, done.size_bytes)
    return Joined(before, after, size, files - reached)


def _refuse_strangers(place: Place, since: int) -> None:
    """Raise when another tool, which knows no turns, joined files at the same moment."""
    for newer in delta_log.commits_between(place.store, since):
        if newer.operation == "OPTIMIZE" and note_of(newer).get("kind") != MAINTENANCE:
            raise Fenced(
                f"another tool joined files of {place.spec.uri} at the same moment (version "
                f"{newer.version}), which may have doubled rows: `verify` tells",
                hint="let `maintain` alone join files",
            )
