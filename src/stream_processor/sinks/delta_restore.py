"""Notices that a table was restored to an older version since our last commit.

RESTORE takes rows back but not the `txn` entries (delta-io/delta issue 1813), so the offsets
between would be lost without a word.
"""

from __future__ import annotations

from datetime import datetime

from stream_processor.errors import TableRewound
from stream_processor.ports import ObjectStore
from stream_processor.sinks import delta_log
from stream_processor.sinks.delta_log import Commit

_OF_A_JOB = "/#"  # how the ids of a replay, purge, erase or vacuum begin behind the pipeline's
MAINTENANCE = "maintenance"
"""The kind of a commit that maintenance makes: it does not count as a look at the table."""


def restored_version(store: ObjectStore, head: int) -> int | None:
    """The version that the table was restored to after the stream's newest commit, or None.

    Walks back from the head to the first commit of a stream, which has looked before it wrote;
    usually that is the head itself. Jobs do not look, so they hide nothing.
    """
    for commit in delta_log.commits_backwards(store, head):
        if _is_of_a_stream(commit):
            return None
        if commit.operation == "RESTORE":
            return _target(store, commit)
    return None


def _is_of_a_stream(commit: Commit) -> bool:
    if "stream_processor" not in commit.info:
        return False
    is_of_a_job = any(_OF_A_JOB in name for name in commit.txns)
    return not is_of_a_job and delta_log.note_of(commit).get("kind") != MAINTENANCE


def _target(store: ObjectStore, restore: Commit) -> int:
    parameters = restore.info.get("operationParameters", {})
    version = parameters.get("version")
    if version is not None:
        return int(version)
    moment = parameters.get("datetime") or parameters.get("timestamp")
    if moment is not None:
        limit_ms = _milliseconds(moment)
        for commit in delta_log.commits_backwards(store, restore.version - 1):
            if commit.written_ms <= limit_ms:
                return commit.version
    raise TableRewound(
        "the table was restored to a version that its log does not name",
        hint="restore it again by version number, then use `run --accept-rewind`",
    )


def _milliseconds(moment: str | int) -> int:
    if str(moment).isdigit():
        return int(moment)
    return int(datetime.fromisoformat(str(moment)).timestamp() * 1000)
