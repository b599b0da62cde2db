"""`maintain --apply`: every step on every table, each by itself safe to die in.

| killed | leaves | the next maintenance |
|---|---|---|
| in a fold | all of a step's ranges or none, with how far they go | goes on there |
| in a compaction | a turn that is taken, files that no commit names | takes over; vacuum has them |
| in a vacuum | some files that nothing needs | removes the rest |
| while cleaning | a log that begins somewhat later, before the checkpoint | removes the rest |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from stream_processor.errors import Fenced, StreamProcessorError
from stream_processor.operations.dlq.replay_request import Surroundings
from stream_processor.operations.maintain.compaction import compact_place
from stream_processor.operations.maintain.folding import fold
from stream_processor.operations.maintain.places import Place, held_back, open_place
from stream_processor.operations.maintain.plan import checkpoint_due, expired_now, stand
from stream_processor.operations.maintain.report import MaintainReport, TableReport
from stream_processor.operations.maintain.request import MaintainRequest, Spending, Step
from stream_processor.sinks import delta_log
from stream_processor.sinks.delta_cleanup import remove
from stream_processor.sinks.delta_compact import checkpoint
from stream_processor.sinks.delta_create import load_at
from stream_processor.sinks.delta_delete import vacuum
from stream_processor.sinks.delta_restore import MAINTENANCE

_CLEAN_CHUNK = 500


def maintain(
    pipeline_id: str, places: Sequence[Place], request: MaintainRequest, around: Surroundings
) -> MaintainReport:
    """Do the steps of the request within its budget; safe beside a running stream.

    Called by `stream-processor maintain --apply`. Ends between two steps when asked to. A step that
    meets another writer is told in the report. Raises `TableRefused` and `TableRewound` before
    anything is done, and `Unavailable`.
    """
    spending = Spending(request.budget, around.clock.monotonic)
    present = [place for place in places if open_place(place) is not None]
    reports = [_table(place, request, spending, around) for place in present]
    stopped = around.stop.is_set()
    spent = not stopped and spending.used_up
    return MaintainReport(pipeline_id, around.doer.run_id, tuple(reports), stopped, spent)


def _table(
    place: Place, request: MaintainRequest, spending: Spending, around: Surroundings
) -> TableReport:
    report = TableReport(place.name, place.spec.uri)
    for step in request.steps:
        if around.stop.is_set() or spending.used_up:
            break
        try:
            report = _STEPS[step](place, report, spending, around)
        except Fenced as other:
            report = replace(report, trouble=f"{step}: {other.message}")
    return report


def _fold(place: Place, report: TableReport, _: Spending, around: Surroundings) -> TableReport:
    now = stand(place)
    if now is None or place.ranges is None:
        return report
    return replace(report, folded=fold(place, now.table, now.log, around))


def _compact(
    place: Place, report: TableReport, spending: Spending, around: Surroundings
) -> TableReport:
    table = open_place(place)
    if table is None:
        return report
    done = compact_place(place, table, spending, around)
    return replace(
        report,
        joined=done.before,
        made=done.after,
        joined_bytes=done.size_bytes,
        left=done.left,
    )


def _vacuum(place: Place, report: TableReport, _: Spending, around: Surroundings) -> TableReport:
    table = open_place(place)
    if table is None:
        return report
    if held := held_back(place, table):
        return replace(report, held_back=held)
    txns = {f"{place.spec.pipeline_id}/#vacuum": int(around.clock.now())}
    note = {"kind": MAINTENANCE, "step": "vacuum", "run": around.doer.run_id}
    around.kill_point("vacuum.before")
    removed = vacuum(place.spec.uri, table, txns, note)
    around.kill_point("vacuum.after")
    return replace(report, vacuumed=removed)


def _checkpoint(
    place: Place, report: TableReport, _: Spending, around: Surroundings
) -> TableReport:
    now = stand(place)
    if now is None or not checkpoint_due(place, now, around.clock):
        return report
    around.kill_point("checkpoint.before")
    checkpoint(place.spec.uri, now.table)
    return replace(report, checkpoint=True)


def _clean(place: Place, report: TableReport, _: Spending, around: Surroundings) -> TableReport:
    """Only what is folded, and only behind a checkpoint from which the table opens."""
    now = stand(place)
    if now is None or place.ranges is None:
        return report
    folded = place.ranges.folded_upto(str(now.table.metadata().id))
    held = held_back(place, now.table)
    if folded is None or held:
        return replace(report, held_back=held)
    old = expired_now(place, now, folded, around.clock)
    if old is None:
        return report
    _prove_readable(place, old.before)
    removed = 0
    for begin in range(0, len(old.keys), _CLEAN_CHUNK):
        if around.stop.is_set():
            break
        removed += remove(place.store, old.keys[begin : begin + _CLEAN_CHUNK])
        around.progress(removed, len(old.keys))
        around.kill_point("clean.after_chunk")
    return replace(report, cleaned=removed)


def _prove_readable(place: Place, version: int) -> None:
    """Open the table at the checkpoint behind which all will go. Raises `Unavailable`."""
    table = load_at(place.spec, version)
    if int(table.version()) != version:
        raise StreamProcessorError(f"{place.spec.uri} cannot be opened at version {version}")
    delta_log.transactions(place.store, version)


_Act = Callable[[Place, TableReport, Spending, Surroundings], TableReport]
_STEPS: Mapping[Step, _Act] = {
    "fold": _fold,
    "compact": _compact,
    "vacuum": _vacuum,
    "checkpoint": _checkpoint,
    "clean": _clean,
}
