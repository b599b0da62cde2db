"""Notices that another engine wrote its own log entry over one of ours.

The store that we demand creates a log entry only where there is none, but an engine that does not
ask it to (Spark's log store for S3 of a single driver looks first and then writes) replaces ours:
rows and offsets of that commit are gone together. A process that goes on with its held handle
would then leave a gap for ever, so each commit of ours names the one before it, and makes sure
that it still stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from stream_processor.errors import CommitOverwritten
from stream_processor.ports import ObjectStore
from stream_processor.schema.display import printable
from stream_processor.sinks import delta_log
from stream_processor.sinks.delta_log import Commit

_NAME_LIMIT = 100


@dataclass(frozen=True, slots=True)
class OwnCommit:
    """A commit that we made: its version, and the mark (`batch`) that its log entry must carry."""

    version: int
    batch: str

    def named(self) -> dict[str, object]:
        """What the next commit says of it in its metadata."""
        return {"previous": {"version": self.version, "batch": self.batch}}


@dataclass(frozen=True, slots=True)
class Overwritten:
    """One version that should be ours and is another engine's."""

    version: int
    engine: str


def overwriter(store: ObjectStore, ours: OwnCommit) -> Commit | None:
    """The foreign entry that stands where ours was; None while ours stands.

    Called before each further commit of ours. One small read.
    """
    try:
        entry = delta_log.commit_at(store, ours.version)
    except FileNotFoundError:  # cleaned since, which says nothing
        return None
    return None if delta_log.note_of(entry).get("batch") == ours.batch else entry


def refuse_overwritten(uri: str, store: ObjectStore, ours: OwnCommit) -> None:
    """Raise `CommitOverwritten` unless our log entry still stands; before a new take-over."""
    entry = overwriter(store, ours)
    if entry is not None:
        raise CommitOverwritten(
            f"commit overwritten by {engine_of(entry)}: version {ours.version} of {uri} was ours",
            hint="stop that engine's writes to this table, then start again: the rows of that "
            "commit and its offsets went together, so they are read again; `verify` says whether "
            "all is well",
        )


def overwritten(commits: Iterable[Commit]) -> Iterator[Overwritten]:
    """Every version that a later commit of ours names as ours and that is not, newest first.

    Called by `verify` with the log from the head backwards. What a RESTORE took back is forgiven.
    """
    marks: dict[int, str] = {}
    undone: list[tuple[int, int]] = []
    for commit in commits:
        note = delta_log.note_of(commit)
        wanted = marks.pop(commit.version, None)
        if wanted is not None and note.get("batch") != wanted:
            yield Overwritten(commit.version, engine_of(commit))
        if commit.operation == "RESTORE":
            undone.append((_restored_to(commit.info), commit.version))
        before = note.get("previous")
        if isinstance(before, dict):
            version = int(before["version"])
            if not any(low < version < high for low, high in undone):
                marks[version] = str(before["batch"])


def engine_of(commit: Commit) -> str:
    """The engine that a log entry names, made safe to show."""
    return printable(str(commit.info.get("engineInfo") or "an engine without a name"), _NAME_LIMIT)


def _restored_to(info: Mapping[str, object]) -> int:
    """A restore by time names no version here: then everything before it is forgiven."""
    parameters = info.get("operationParameters")
    version = parameters.get("version") if isinstance(parameters, dict) else None
    return -1 if version is None else int(version)
