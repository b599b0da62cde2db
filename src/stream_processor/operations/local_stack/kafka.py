"""One real Kafka node (KRaft, no ZooKeeper) as a child process, its state in one folder."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from stream_processor.errors import BrokerUnavailable, Unavailable
from stream_processor.operations.local_stack.kafka_parts import fetch_kafka, java_executable
from stream_processor.operations.local_stack.process import (
    Lifetime,
    ServerProcess,
    answers,
    free_ports,
    is_free,
    start_server,
    wait_until,
)

START_SECONDS_MAX = 90.0
STOP_GRACE_SECONDS = 20.0
START_ATTEMPTS = 5
NO_SETTINGS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class RunningKafka:
    """A started Kafka. As a context manager it stops at the end of the block.

    To start it again after `stop` or `kill`: `start_kafka(k.data_dir, port=k.port)`.
    """

    data_dir: Path
    port: int
    process: ServerProcess

    @property
    def bootstrap_servers(self) -> str:
        """What clients connect to."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of Kafka itself."""
        return self.process.identity.pid

    def stop(self) -> None:
        """Shut down cleanly. Idempotent."""
        self.process.stop(STOP_GRACE_SECONDS)

    def kill(self) -> None:
        """As `kill -9`; a later start on the same folder recovers."""
        self.process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def start_kafka(
    data_dir: Path,
    *,
    port: int | None = None,
    heap_mb: int = 512,
    settings: Mapping[str, str] = NO_SETTINGS,
    lifetime: Lifetime = Lifetime.PARENT,
) -> RunningKafka:
    """Start Kafka on a folder; one that was used before continues with its topics and offsets.

    Called by the demo, `make up`, benchmarks and tests. Without `port` the folder's last port is
    taken when it is free, else any free one. `settings` are lines of server.properties that
    replace ours. Returns when it accepts clients (4 s; the first time also fetches it).
    Raises `BrokerUnavailable` with the place of its log when it does not start.
    """
    classpath = f"{fetch_kafka()}/*"
    data_dir = data_dir.absolute()
    data_dir.mkdir(parents=True, exist_ok=True)
    for _ in range(START_ATTEMPTS):
        broker_port, controller_port = _choose_ports(data_dir, port)
        properties = _write_properties(data_dir, broker_port, controller_port, settings)
        _format_once(data_dir, classpath, properties)
        process = _launch(data_dir, classpath, heap_mb, lifetime)
        if _is_up(process, data_dir, broker_port):
            return RunningKafka(data_dir, broker_port, process)
        process.stop(STOP_GRACE_SECONDS)
        if port is not None or "Address already in use" not in _log_file(data_dir).read_text():
            break
    raise BrokerUnavailable(
        "The local Kafka did not start.", hint=f"Its log: {_log_file(data_dir)}"
    )


def _choose_ports(data_dir: Path, port: int | None) -> tuple[int, int]:
    remembered = data_dir / "ports.json"
    last = json.loads(remembered.read_text()) if remembered.exists() else [None, None]
    wanted = [port or last[0], last[1]]
    spare = free_ports(2)
    chosen = [new if old is None or not is_free(old) else old for old, new in zip(wanted, spare)]  # noqa: B905 - both have two
    if port is not None and chosen[0] != port:
        raise BrokerUnavailable(f"Port {port} for the local Kafka is in use.")
    return chosen[0], chosen[1]


def _write_properties(
    data_dir: Path, broker_port: int, controller_port: int, settings: Mapping[str, str]
) -> Path:
    lines = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://127.0.0.1:{broker_port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{broker_port}",
        "log.dirs": str(data_dir / "data"),
        # One node, so no replicas; few partitions of Kafka's own topics, so that it starts fast.
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        # A person waits for it: no pause before the first rebalance, short sessions allowed.
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        # A misspelt topic must be missing, not created with one partition.
        "auto.create.topics.enable": "false",
        **settings,
    }
    path = data_dir / "server.properties"
    path.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
    (data_dir / "ports.json").write_text(json.dumps([broker_port, controller_port]))
    return path


def _format_once(data_dir: Path, classpath: str, properties: Path) -> None:
    if (data_dir / "data" / "meta.properties").exists():
        return
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    command = [*_java(classpath, data_dir, 128), "kafka.tools.StorageTool", "format"]
    command += ["--ignore-formatted", "-t", f"c{cluster_id[1:]}", "-c", str(properties)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603 - our own command line
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise Unavailable(f"The local Kafka could not prepare {data_dir}: {lines[-1]}")


def _launch(data_dir: Path, classpath: str, heap_mb: int, lifetime: Lifetime) -> ServerProcess:
    _log_file(data_dir).unlink(missing_ok=True)
    return start_server(
        [*_java(classpath, data_dir, heap_mb), "kafka.Kafka", str(data_dir / "server.properties")],
        log=data_dir / "java.log",
        lifetime=lifetime,
        environment={k: v for k, v in os.environ.items() if not k.startswith(("JAVA_", "_JAVA"))},
    )


def _java(classpath: str, data_dir: Path, heap_mb: int) -> list[str]:
    return [
        str(java_executable()),
        f"-Xmx{heap_mb}m",
        "-XX:+ExitOnOutOfMemoryError",
        f"-Dlog4j2.configurationFile=file:{Path(__file__).with_name('log4j2.xml')}",
        f"-Dstack.log={_log_file(data_dir)}",
        "-cp",
        classpath,
    ]


def _is_up(process: ServerProcess, data_dir: Path, port: int) -> bool:
    """Its own word in the log first: whoever answers on the port might be somebody else."""
    log = _log_file(data_dir)

    def settled() -> bool:
        said = log.exists() and "Kafka Server started" in log.read_text(errors="replace")
        return said or not process.is_running()

    in_time = wait_until(settled, START_SECONDS_MAX)
    return in_time and process.is_running() and answers(port)


def _log_file(data_dir: Path) -> Path:
    return data_dir / "kafka.log"
