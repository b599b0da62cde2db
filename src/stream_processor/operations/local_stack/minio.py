"""One real MinIO as a child process, its buckets and its keys in one folder."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from stream_processor.errors import StoreUnavailable
from stream_processor.operations.local_stack.buckets import Credentials, list_buckets_status
from stream_processor.operations.local_stack.minio_parts import fetch_minio
from stream_processor.operations.local_stack.process import (
    Lifetime,
    RunningServer,
    ServerProcess,
    answers,
    free_ports,
    is_free,
    refuse_second,
    start_server,
    stopped_on_error,
    wait_until,
)

START_SECONDS_MAX = 60.0
STOP_GRACE_SECONDS = 10.0
START_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class RunningMinio(RunningServer):
    """A started MinIO. To start it again after its end: `start_minio(m.data_dir, port=m.port)`."""

    credentials: Credentials = field(repr=False)
    stop_grace_seconds: ClassVar[float] = STOP_GRACE_SECONDS

    @property
    def endpoint(self) -> str:
        """Where S3 clients connect to."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def access_key(self) -> str:
        """The root user of this folder."""
        return self.credentials.access_key

    @property
    def secret_key(self) -> str:
        """Its password, made by chance for this folder."""
        return self.credentials.secret_key


def start_minio(
    data_dir: Path, *, port: int | None = None, lifetime: Lifetime = Lifetime.PARENT
) -> RunningMinio:
    """Start MinIO on a folder; one that was used before continues with its buckets and keys.

    Called by `make up`, benchmarks and tests. Without `port` any free one is taken. Returns when it
    answers a signed request (1 s; the first time also builds it).
    Raises `StoreUnavailable` with the place of its log when it does not start.
    """
    executable = fetch_minio()
    data_dir = data_dir.absolute()
    (data_dir / "drive").mkdir(parents=True, exist_ok=True)
    refuse_second(data_dir / "log")
    credentials = _credentials_of(data_dir)
    for _ in range(START_ATTEMPTS):
        chosen = port or free_ports(1)[0]
        if not is_free(chosen):
            raise StoreUnavailable(f"Port {chosen} for the local MinIO is in use.")
        process = _launch(executable, data_dir, chosen, credentials, lifetime)
        running = RunningMinio(data_dir, chosen, process, credentials)
        with stopped_on_error(process):
            if _is_up(running):
                return running
        process.stop(STOP_GRACE_SECONDS)
        if port is not None:
            break
    raise StoreUnavailable("The local MinIO did not start.", hint=f"Its log: {data_dir / 'log'}")


def _credentials_of(data_dir: Path) -> Credentials:
    path = data_dir / "credentials.json"
    if path.exists():
        return Credentials(**json.loads(path.read_text()))
    made = {"access_key": secrets.token_hex(8), "secret_key": secrets.token_urlsafe(24)}
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(made, file)
    return Credentials(**made)


def _launch(
    executable: Path, data_dir: Path, port: int, credentials: Credentials, lifetime: Lifetime
) -> ServerProcess:
    command = [str(executable), "server", str(data_dir / "drive"), "--quiet", "--anonymous"]
    command += ["--address", f"127.0.0.1:{port}", "--certs-dir", str(data_dir / "certs")]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MINIO_")}
    ours = {
        "MINIO_ROOT_USER": credentials.access_key,
        "MINIO_ROOT_PASSWORD": credentials.secret_key,
        "MINIO_BROWSER": "off",
        "MINIO_UPDATE": "off",
        "HOME": str(data_dir),
    }
    return start_server(
        command, log=data_dir / "log", lifetime=lifetime, environment={**kept, **ours}
    )


def _is_up(minio: RunningMinio) -> bool:
    """Only ours knows our keys: whoever else answers on the port would refuse the signature."""

    def settled() -> bool:
        if not minio.process.is_running():
            return True
        return answers(minio.port) and list_buckets_status(minio.endpoint, minio.credentials) == 200

    return wait_until(settled, START_SECONDS_MAX) and minio.process.is_running()
