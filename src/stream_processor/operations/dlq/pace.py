"""Leaves a running stream room between two removals, each of which costs it a taking over."""

from __future__ import annotations

from itertools import islice

from stream_processor.operations.dlq.replay_request import Surroundings
from stream_processor.ports import ObjectStore
from stream_processor.sinks import delta_log
from stream_processor.sinks.delta_log import Commit, note_of

_ALIVE_SECONDS = 60
_WAIT_SECONDS_MAX = 15.0
_LOOK_EVERY_SECONDS = 0.5
_COMMITS_READ_MAX = 20


def let_the_stream_commit(store: ObjectStore, version: int, around: Surroundings) -> None:
    """Wait until the stream has committed a batch after this version of the data table.

    Not at all where none was committed within the last minute, and never longer than twice the time
    between its last two batches, or 15 seconds, or until the job is asked to end. Raises
    `Unavailable`.
    """
    recent = islice(delta_log.commits_backwards(store, version), _COMMITS_READ_MAX)
    batches = list(islice((_at(commit) for commit in recent if _is_batch(commit)), 2))
    if len(batches) < 2 or around.clock.now() - batches[0] >= _ALIVE_SECONDS:
        return
    rhythm_seconds = batches[0] - batches[1]
    ends = around.clock.monotonic() + min(_WAIT_SECONDS_MAX, 2 * rhythm_seconds)
    while around.clock.monotonic() < ends and not around.stop.wait(_LOOK_EVERY_SECONDS):
        if any(_is_batch(commit) for commit in delta_log.commits_between(store, version)):
            return


def _is_batch(commit: Commit) -> bool:
    return note_of(commit).get("kind") == "batch"


def _at(commit: Commit) -> float:
    return commit.written_ms / 1000
