"""Reads what the Delta library does not hand out in one call: every `txn` entry, and who committed.

`DeltaTable.transaction_version` replays the log once per id; with several ids per partition and
64 partitions that is 15 s on an object store. One pass over the newest checkpoint and the commits
after it gives them all.
Format: the Delta transaction protocol, "Transaction Identifiers" and "Checkpoints".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stream_processor.errors import StoreUnavailable
from stream_processor.ports import ObjectStore

_LOG = "_delta_log/"
_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(?:\.(\d{10})\.(\d{10})|\.[0-9a-f-]{36})?\.parquet")

# Our tables are checkpointed every 20 commits, so a checkpoint is nearly always this near; only
# a table that was written by others costs the listing of its whole log.
_NEAR_VERSIONS = 200


@dataclass(frozen=True, slots=True)
class Commit:
    """One entry of the log: who did what. `info` is its commitInfo, `txns` its app transactions."""

    version: int
    info: Mapping[str, Any]
    txns: Mapping[str, int]

    @property
    def operation(self) -> str:
        """Delta's own name of the operation, in capitals: WRITE, RESTORE, OPTIMIZE, ..."""
        return str(self.info.get("operation", "")).upper()

    @property
    def written_ms(self) -> int:
        """When it was made, by the clock of who made it; 0 where that is not said."""
        return int(self.info.get("timestamp", 0))


def transactions(store: ObjectStore, version: int) -> dict[str, int]:
    """Every app id and its version in the snapshot `version`. One pass, a few requests.

    Raises `StoreUnavailable` when the log has a hole: half an answer would move offsets back.
    """
    found = _listing(store, version, start=max(0, version - _NEAR_VERSIONS))
    if found is None:
        found = _listing(store, version, start=0)
    if found is None:
        raise StoreUnavailable(
            f"the log of the table is incomplete before version {version}",
            hint="a log entry is missing; restore it, or restore the table's folder from a backup",
        )
    checkpoint, keys = found
    txns: dict[str, int] = {}
    for key in checkpoint:
        txns |= _checkpoint_transactions(store.get(key))
    for key in keys:
        txns |= _parse(key, store.get(key)).txns
    return txns


def commits_between(store: ObjectStore, after: int, upto: int | None = None) -> Iterator[Commit]:
    """The commits with `after < version <= upto` in order; all newer ones when `upto` is None."""
    for key in store.list(_LOG, start_after=f"{_LOG}{after:020}.json"):
        match = _COMMIT.fullmatch(key.removeprefix(_LOG))
        if match and (upto is None or int(match[1]) <= upto):
            yield _parse(key, store.get(key))


def commit_at(store: ObjectStore, version: int) -> Commit:
    """One commit. Raises `FileNotFoundError` when the log has it no more."""
    key = f"{_LOG}{version:020}.json"
    return _parse(key, store.get(key))


def note_of(commit: Commit) -> dict[str, Any]:
    """What we wrote about a commit into its own metadata; nothing where it is not ours."""
    note = json.loads(commit.info.get("stream_processor", "{}"))
    return note if isinstance(note, dict) else {}


def added_files(store: ObjectStore, version: int) -> list[Mapping[str, Any]]:
    """The `add` actions of one commit: which files it brought. Raises `FileNotFoundError`."""
    lines = store.get(f"{_LOG}{version:020}.json").splitlines()
    return [json.loads(line)["add"] for line in lines if b'"add"' in line[:12]]


def commits_backwards(store: ObjectStore, version: int) -> Iterator[Commit]:
    """The commits from `version` down, as long as the log still has them."""
    for number in range(version, -1, -1):
        try:
            yield commit_at(store, number)
        except FileNotFoundError:
            return


def _listing(store: ObjectStore, version: int, start: int) -> tuple[list[str], list[str]] | None:
    """(files of the newest checkpoint <= version, commits after it up to version), or None."""
    commits: dict[int, str] = {}
    checkpoints: dict[tuple[int, int], list[str]] = {}
    for key in store.list(_LOG, start_after=f"{_LOG}{start:020}" if start else ""):
        name = key.removeprefix(_LOG)
        if match := _COMMIT.fullmatch(name):
            commits[int(match[1])] = key
        elif match := _CHECKPOINT.fullmatch(name):
            # Parts of one checkpoint belong together; alternatives of one version do not.
            parts = checkpoints.setdefault((int(match[1]), int(match[3] or 1)), [])
            parts.append(key)
    whole = {number: keys for (number, of), keys in checkpoints.items() if len(keys) >= of}
    newest = max((number for number in whole if number <= version), default=-1)
    wanted = range(newest + 1, version + 1)
    if any(number not in commits for number in wanted):
        return None
    return whole.get(newest, []), [commits[number] for number in wanted]


def _checkpoint_transactions(data: bytes) -> dict[str, int]:
    file = pq.ParquetFile(pa.BufferReader(data))
    if "txn" not in file.schema_arrow.names:
        return {}
    rows = file.read(columns=["txn"])["txn"].to_pylist()
    return {row["appId"]: row["version"] for row in rows if row is not None}


def _parse(key: str, data: bytes) -> Commit:
    info: Mapping[str, Any] = {}
    txns: dict[str, int] = {}
    for line in data.splitlines():
        # Only two kinds of action matter here, and a commit may hold thousands of others.
        if b'"txn"' in line[:12] or b'"commitInfo"' in line[:16]:
            action = json.loads(line)
            if "txn" in action:
                txns[action["txn"]["appId"]] = action["txn"]["version"]
            info = action.get("commitInfo", info)
    match = _COMMIT.fullmatch(key.removeprefix(_LOG))
    if match is None:
        raise ValueError(f"not a commit of a Delta log: {key}")
    return Commit(int(match[1]), info, txns)
