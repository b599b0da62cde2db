"""Write all locks anew: requirements*.lock (by uv) and the lock of Kafka's jars (by jgo).

For maintainers, after a change of versions in pyproject.toml or of KAFKA_VERSION:
    .venv/bin/pip install uv && .venv/bin/python scripts/lock.py
requirements-core.lock is the job alone (its image), requirements.lock adds what the demo needs, and
requirements-dev.lock the tools; requirements-build.lock is what installs the package itself, and
requirements-compiler.lock a C compiler for machines without one.
The locks hold versions and hashes but no address: pip and jgo know where to ask.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from jgo.constants import MAVEN_CENTRAL_URL
from jgo.env import LockFile
from jgo.maven import MavenContext
from jgo.parse import Endpoint

from stream_processor.operations.local_stack.kafka_parts import KAFKA_VERSION, LOCK

ROOT = Path(__file__).parent.parent
KAFKA = "+".join(
    (
        f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}",
        f"org.apache.kafka:kafka-tools:{KAFKA_VERSION}",
        # Kafka logs through slf4j 1.7 and brings log4j-core 2.25.4; this joins them
        # (`!`: the versions that its own parent manages are no business of ours).
        "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4!",
    )
)


def lock_python(name: str, *options: str, source: str = "pyproject.toml") -> None:
    """Resolve the source with these options, for every platform and Python version at once."""
    command = [str(Path(sys.executable).with_name("uv")), "pip", "compile", source]
    command += ["--universal", "--generate-hashes", "--python-version", "3.11", "--quiet"]
    command += ["--no-emit-index-url", "--no-emit-find-links", "--no-header", "--no-annotate"]
    subprocess.run([*command, *options, "--output-file", name], cwd=ROOT, check=True)
    text = (ROOT / name).read_text()
    if re.search(r"://|-find-links|index-url", text):
        sys.exit(f"{name} holds an address")
    print(f"{name}: {text.count('==')} packages")


def build_requirements() -> str:
    """A file with what pyproject.toml needs to be installed itself."""
    return requirements(project()["build-system"]["requires"])


def compiler_requirements() -> str:
    """A file with the compiler for machines that have none; it is large, so it stands alone."""
    return requirements(project()["project"]["optional-dependencies"]["compiler"])


def project() -> dict[str, Any]:
    """What pyproject.toml says."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def requirements(lines: list[str]) -> str:
    """A file of requirements for uv to resolve."""
    path = Path(tempfile.mkdtemp()) / "requirements.in"
    path.write_text("\n".join(lines))
    return str(path)


def lock_kafka() -> None:
    """Resolve Kafka's dependencies, download each jar and write down its sha256."""
    with tempfile.TemporaryDirectory() as repository:
        context = MavenContext(
            repo_cache=Path(repository), remote_repos={"central": MAVEN_CENTRAL_URL}, timeout=60
        )
        wanted = [
            context.create_dependency(replace(coordinate, scope="compile"))
            for coordinate in Endpoint.parse(KAFKA).coordinates
        ]
        inputs, transitive = context.resolver.resolve(wanted)
        runtime = [one for one in transitive if one.scope in ("compile", "runtime")]
        once = {one.artifact.key: one for one in [*inputs, *runtime]}
        lock = LockFile.from_resolved_dependencies(list(once.values()))
        lock.save(LOCK)
    print(f"{LOCK.name}: {len(lock.dependencies)} jars")


if __name__ == "__main__":
    lock_python("requirements.lock", "--extra=demo")
    lock_python("requirements-core.lock", "--constraint=requirements.lock")
    lock_python("requirements-dev.lock", "--extra=dev", "--constraint=requirements.lock")
    lock_python("requirements-build.lock", source=build_requirements())
    lock_python("requirements-compiler.lock", source=compiler_requirements())
    lock_kafka()
