"""Which other engines have written to a table of ours, remembered for a week.

A week of commits is too much for `status` to read, so each commit of a stream carries what the
process knows: whom the commit before it named, and whose entries lay between the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from stream_processor.errors import StoreUnavailable
from stream_processor.ports import ObjectStore
from stream_processor.schema.display import printable
from stream_processor.sinks import delta_log
from stream_processor.sinks.delta_chain import engine_of
from stream_processor.sinks.delta_log import Commit, note_of

WEEK_MS = 7 * 86_400_000

_KEY = "foreign"
_NAMES_MAX = 10
_OPERATION_LIMIT = 100
# Entries between two commits of one process; more of them are other processes' of ours, mostly.
_BETWEEN_MAX = 20
_BACK_MAX = 200
# What changes rows; the rest is upkeep, which the library that we use also does by itself.
_WRITING = frozenset({"WRITE", "MERGE", "UPDATE", "DELETE", "STREAMING UPDATE", "RESTORE"})

Seen = Mapping[str, int]
"""An engine and what it did, like `Apache-Spark/3.5 (MERGE)`; when it last did, in ms."""


def is_foreign(commit: Commit) -> bool:
    """Whether a commit is neither ours nor upkeep by the library that we use."""
    if "stream_processor" in commit.info:
        return False
    own_library = str(commit.info.get("engineInfo") or "").startswith("delta-rs")
    return not own_library or commit.operation in _WRITING


def seen_in(commits: Iterable[Commit]) -> dict[str, int]:
    """The foreign ones of these commits, and those that our own among them carry."""
    found: dict[str, int] = {}
    for commit in commits:
        if is_foreign(commit):
            shown = f"{engine_of(commit)} ({printable(commit.operation, _OPERATION_LIMIT)})"
            _add(found, {shown: commit.written_ms})
        else:
            _add(found, carried(commit))
    return found


def carried(commit: Commit) -> Seen:
    """What a commit of ours says of others; nothing where it says nothing, or nothing readable."""
    said = note_of(commit).get(_KEY)
    if not isinstance(said, dict):
        return {}
    return {name: at for name, at in said.items() if isinstance(at, int)}


def looked_back(store: ObjectStore, head: int) -> dict[str, int]:
    """What is known at a take-over: from the head back to the newest batch or claim of a stream."""
    some = []
    for number, commit in enumerate(delta_log.commits_backwards(store, head)):
        some.append(commit)
        if note_of(commit).get("kind") in ("batch", "claim", "columns") or number >= _BACK_MAX:
            break
    return seen_in(some)


def between(store: ObjectStore, after: int, before: int) -> dict[str, int]:
    """What lay between two commits of ours. Never raises: it is only for `status`."""
    try:
        versions = range(max(after + 1, before - _BETWEEN_MAX), before)
        return seen_in([delta_log.commit_at(store, version) for version in versions])
    except (FileNotFoundError, StoreUnavailable):
        return {}


def merged(one: Seen, other: Seen, now_ms: int) -> dict[str, int]:
    """Both, without what is older than a week; the newest few."""
    found = dict(one)
    _add(found, other)
    fresh = sorted(found.items(), key=lambda item: -item[1])[:_NAMES_MAX]
    return {name: at for name, at in fresh if now_ms - at < WEEK_MS}


def noted(seen: Seen) -> dict[str, Seen]:
    """What the next commit carries; nothing while we are alone, as nearly always."""
    return {_KEY: seen} if seen else {}


def _add(found: dict[str, int], more: Seen) -> None:
    for name, at in more.items():
        found[name] = max(at, found.get(name, at))
