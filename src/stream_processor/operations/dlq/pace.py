"""Leaves a running stream room between two removals, each of which costs it a taking over."""

from __future__ import annotations

from itertools import islice

from stream_processor.operations.dlq.replay_request import Surroundings
from stream_processor.operations.snapshots import note_of
from stream_processor.ports import ObjectStore
from stream_processor.sinks import delta_log
from stream_processor.sinks.delta_log import Commit

_ALIVE_SECONDS = 60
_WAIT_SECONDS_MAX = 15.0
_LOOK_EVERY_SECONDS = 0.5
_COMMITS_READ_MAX = 20


def let_the_stream_commit(store: ObjectStore, version: int, around: Surroundings) -> None:
    """Wait until the stream has committed a batch after this version of the data table.

    Not at all where none has run within the last minute, and never longer than 15 seconds, or than
    until the job is asked to end. Raises `Unavailable`.
    """
    recent = islice(delta_log.commits_backwards(store, version), _COMMITS_READ_MAX)
    newest = next((commit for commit in recent if _is_batch(commit)), None)
    age_seconds = around.clock.now() - _at(newest) if newest else _ALIVE_SECONDS
    if age_seconds >= _ALIVE_SECONDS:
        return
    ends = around.clock.monotonic() + _WAIT_SECONDS_MAX
    while around.clock.monotonic() < ends and not around.stop.wait(_LOOK_EVERY_SECONDS):
        if any(_is_batch(commit) for commit in delta_log.commits_between(store, version)):
            return


def _is_batch(commit: Commit) -> bool:
    return note_of(commit).get("kind") == "batch"


def _at(commit: Commit) -> float:
    return int(commit.info.get("timestamp", 0)) / 1000
