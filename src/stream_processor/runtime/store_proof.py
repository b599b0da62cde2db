"""What must be true of an object store before anything is written to it. Called once at start."""

from __future__ import annotations

import contextlib
import uuid
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from stream_processor.errors import StoreRefused, StoreUnavailable, StreamProcessorError
from stream_processor.ports import ObjectStore

_START_TIMEOUT_SECONDS = 30


def check_reachable(store: ObjectStore) -> None:
    """One cheap listing: raises what is wrong with endpoint, credentials or bucket, if anything."""
    for _ in store.list("_delta_log/"):
        return


def prove_conditional_create(store: ObjectStore, racers: int = 16, rounds: int = 3) -> None:
    """Prove that of many who create one object at once exactly one succeeds. Called at start.

    The commit protocol stands on this (a.8, rule 1), and some S3 look-alikes ignore the condition.
    Its keys are removed afterwards, also when it fails. Raises `StoreRefused` when two won, and
    `StoreUnavailable` when the answers leave it open.
    """
    for _ in range(rounds):
        key = f"_stream_processor_probe_{uuid.uuid4().hex}"
        try:
            winners = _race(store, key, racers)
            kept = store.get(key)
            if len(winners) > 1 or (winners and kept != winners[0]):
                raise StoreRefused(
                    f"the object store let {len(winners)} of {racers} writers create one object",
                    hint="conditional writes (If-None-Match) are not enforced; use a store that "
                    "enforces them, or two writers could overwrite each other's commits",
                )
            if not winners:
                raise StoreUnavailable("the object store lost the answer of a conditional write")
        finally:
            with contextlib.suppress(StreamProcessorError):  # the first error is the one to tell
                store.delete(key)


def _race(store: ObjectStore, key: str, racers: int) -> list[bytes]:
    together = Barrier(racers, timeout=_START_TIMEOUT_SECONDS)

    def attempt(data: bytes) -> bytes | None:
        together.wait()
        return data if store.put_if_absent(key, data) else None

    with ThreadPoolExecutor(racers) as pool:
        done = list(pool.map(attempt, [f"racer {number}".encode() for number in range(racers)]))
    return [data for data in done if data is not None]
