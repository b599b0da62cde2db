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
from types import MappingProxyType
from typing import ClassVar

from stream_processor.errors import BrokerUnavailable, Unavailable
from stream_processor.operations.local_stack.kafka_parts import fetch_kafka, java_executable
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

START_SECONDS_MAX = 90.0
STOP_GRACE_SECONDS = 20.0
START_ATTEMPTS = 5
NO_SETTINGS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class RunningKafka(RunningServer):
    """A started Kafka. To start it again after its end: `start_kafka(k.data_dir, port=k.port)`."""

    stop_grace_seconds: ClassVar[float] = STOP_GRACE_SECONDS

    @property
    def bootstrap_servers(self) -> str:
        """What clients connect to."""
        return f"127.0.0.1:{self.port}"


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
    refuse_second(_output_file(data_dir))
    for _ in range(START_ATTEMPTS):
        broker_port, controller_port = _choose_ports(data_dir, port)
        properties = _write_properties(data_dir, broker_port, controller_port, settings)
        _format_once(data_dir, classpath, properties)
        process = _launch(data_dir, classpath, heap_mb, lifetime)
        with stopped_on_error(process):
            if _is_up(process, data_dir, broker_port):
                return RunningKafka(data_dir, broker_port, process)
        process.stop(STOP_GRACE_SECONDS)
        if port is not None or "Address already in use" not in _logged(data_dir):
            break
    raise BrokerUnavailable(
        "The local Kafka did not start.", hint=f"Its log: {_log_file(data_dir)}"
    )


def last_bootstrap_servers(data_dir: Path) -> str | None:
    """Where the Kafka of this folder listened last, and listens now if it runs."""
    remembered = data_dir / "ports.json"
    if not remembered.exists():
        return None
    return f"127.0.0.1:{json.loads(remembered.read_text())[0]}"


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
    path.write_text("".join(f"{key}={_escaped(value)}\n" for key, value in lines.items()))
    (data_dir / "ports.json").write_text(json.dumps([broker_port, controller_port]))
    return path


def _format_once(data_dir: Path, classpath: str, properties: Path) -> None:
    if (data_dir / "data" / "meta.properties").exists():
        return
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    command = [*_java(classpath, data_dir, 128), "kafka.tools.StorageTool", "format"]
    command += ["--ignore-formatted", "-t", f"c{cluster_id[1:]}", "-c", str(properties)]
    done = subprocess.run(  # noqa: S603 - our own command line, no shell
        command,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        process_group=0,  # Ctrl-C is for us: half a format would be told as a failure
    )
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise Unavailable(f"The local Kafka could not prepare {data_dir}: {lines[-1]}")


def _launch(data_dir: Path, classpath: str, heap_mb: int, lifetime: Lifetime) -> ServerProcess:
    _log_file(data_dir).unlink(missing_ok=True)
    return start_server(
        [*_java(classpath, data_dir, heap_mb), "kafka.Kafka", str(data_dir / "server.properties")],
        log=_output_file(data_dir),
        lifetime=lifetime,
        environment=_environment(),
    )


def _escaped(value: str) -> str:
    """As a value in a Java properties file, which is ASCII: folders have all kinds of names."""
    doubled = value.replace("\\", "\\\\").encode("utf-16-be")
    units = (int.from_bytes(doubled[at : at + 2]) for at in range(0, len(doubled), 2))
    return "".join(chr(unit) if unit < 128 else f"\\u{unit:04x}" for unit in units)


def _environment() -> dict[str, str]:
    """Ours, without options meant for other Javas, and with a locale that can name any file."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JAVA_", "_JAVA", "JDK_"))}
    return {**kept, "LC_ALL": "C.UTF-8"}


def _java(classpath: str, data_dir: Path, heap_mb: int) -> list[str]:
    return [
        str(java_executable()),
        f"-Xmx{heap_mb}m",
        "-XX:+ExitOnOutOfMemoryError",
        f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.xml').as_uri()}",
        f"-Dstack.log={_log_file(data_dir)}",
        "-cp",
        classpath,
    ]


def _is_up(process: ServerProcess, data_dir: Path, port: int) -> bool:
    """Its own word in the log first: whoever answers on the port might be somebody else."""

    def settled() -> bool:
        return "Kafka Server started" in _logged(data_dir) or not process.is_running()

    in_time = wait_until(settled, START_SECONDS_MAX)
    return in_time and process.is_running() and answers(port)


def _log_file(data_dir: Path) -> Path:
    return data_dir / "kafka.log"


def _output_file(data_dir: Path) -> Path:
    return data_dir / "java.log"


def _logged(data_dir: Path) -> str:
    log = _log_file(data_dir)
    return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
