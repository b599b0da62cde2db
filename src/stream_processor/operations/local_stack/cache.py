"""The one folder outside the repository where fetched and built parts are kept.

A part is a directory that appears under its final name only when it is complete and checked
(built beside it, then renamed), so whoever sees it may use it without a lock and without a network.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_directory() -> Path:
    """`~/.cache/stream-processor`, or what STREAM_PROCESSOR_CACHE names."""
    named = os.environ.get("STREAM_PROCESSOR_CACHE")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "stream-processor"


def cached_part(name: str, build: Callable[[Path], None]) -> Path:
    """The directory of one part; `build` fills an empty directory when it is not there yet.

    Called by each part's `fetch_*`. `name` must change whenever the content would: it holds the
    version and a hash. What a failed build leaves behind is cleared by the next one.
    """
    part = cache_directory() / name
    if part.is_dir():
        return part
    with _exclusive():
        if part.is_dir():  # another process built it while we waited
            return part
        unfinished = part.with_name(f"{name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        build(unfinished)
        unfinished.rename(part)
    return part


@contextmanager
def _exclusive() -> Iterator[None]:
    """One process builds at a time; the kernel frees the lock when its holder dies."""
    folder = cache_directory()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stderr.write("Another process is preparing the local stack; waiting for it.\n")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
