"""What may happen in a chaos run. Each action says what it does and plans how it is put right."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from tests.chaos.stage import SESSION_SECONDS, WORKERS_MAX, WORKERS_MIN, Stage
from tests.chaos.worker import Worker
from tests.faults.modes import Fault

COMMIT = r"/orders(__dlq)?/_delta_log/[0-9]+\.json"
LOG = r"/orders(__dlq)?/_delta_log/"

_MAINTENANCE = """
import json, sys
from deltalake import DeltaTable
uri, what = sys.argv[1:3]
table = DeltaTable(uri, storage_options=json.load(sys.stdin))
if what == "optimize":
    table.optimize.compact()
else:
    table.create_checkpoint()
"""
_MAINTENANCE_SECONDS_MAX = 30.0


def _awake(stage: Stage) -> list[Worker]:
    return [worker for worker in stage.workers if not worker.suspended]


def kill_worker(stage: Stage) -> None:
    """kill -9, and a replacement with other limits and other rules."""
    worker = stage.dice.choice(stage.workers)
    seconds = stage.dice.uniform(0.0, 3.0)
    stage.say(f"kill -9 {worker.label}; replaced in {seconds:.1f} s")
    stage.workers.remove(worker)
    worker.process.kill()
    worker.process.wait()
    stage.later(seconds, "the replacement", stage.start_worker)


def restart_worker(stage: Stage) -> None:
    """SIGTERM, and a replacement at once, while the old one still drains."""
    worker = stage.dice.choice(_awake(stage))
    stage.say(f"SIGTERM {worker.label}; replaced at once")
    stage.dismiss(worker)
    stage.start_worker()


def suspend_worker(stage: Stage) -> None:
    """SIGSTOP for longer than the group's session: a zombie that wakes up among its heirs."""
    worker = stage.dice.choice(_awake(stage))
    seconds = SESSION_SECONDS + stage.dice.uniform(1.0, 6.0)
    stage.say(f"SIGSTOP {worker.label} for {seconds:.1f} s")
    worker.process.send_signal(signal.SIGSTOP)
    worker.suspended = True
    stage.later(seconds, f"SIGCONT {worker.label}", worker.wake)


def add_worker(stage: Stage) -> None:
    """Scale out: the group moves partitions under load."""
    stage.say("one more worker")
    stage.start_worker()


def remove_worker(stage: Stage) -> None:
    """Scale in."""
    worker = stage.dice.choice(_awake(stage))
    stage.say(f"one worker less: SIGTERM {worker.label}")
    stage.dismiss(worker)


def spoil_commits(stage: Stage) -> None:
    """The answers to commits are wrong, lost, late or slow."""
    dice = stage.dice
    mode = dice.choice(
        ["503-before", "503-after", "reset-after", "hang-after", "late", "slow", "507", "403"]
    )
    times, after = dice.randint(1, 4), dice.randint(0, 3)
    answer = dice.choice([None, 503]) if mode == "late" else None
    fault = stage.proxy.inject(
        mode, key=COMMIT, times=times, after=after, seconds=dice.uniform(1.0, 5.0), answer=answer
    )
    stage.say(f"{times} commits meet {mode}" + (f", answered {answer}" if answer else ""))
    _release_later(stage, fault)


def spoil_files(stage: Stage) -> None:
    """Parquet files are refused or slow on their way to the store."""
    mode = stage.dice.choice(["503-before", "503-after", "reset-after", "slow"])
    fault = stage.proxy.inject(mode, key=r"\.parquet", times=stage.dice.randint(1, 4), seconds=2.0)
    stage.say(f"files meet {mode}")
    _release_later(stage, fault)


def spoil_reads(stage: Stage) -> None:
    """Log entries arrive cut in the middle, or not at all."""
    mode = stage.dice.choice(["truncate", "503-before", "hang-after", "slow"])
    fault = stage.proxy.inject(
        mode, key=LOG, method="GET", times=stage.dice.randint(1, 6), seconds=2.0
    )
    stage.say(f"reads of the log meet {mode}")
    _release_later(stage, fault)


def _release_later(stage: Stage, fault: Fault) -> None:
    seconds = stage.dice.uniform(1.0, 9.0)
    if fault.mode in {"hang-after", "late"}:
        stage.later(seconds, f"what {fault.mode} holds is let go", fault.release)


def restart_minio(stage: Stage) -> None:
    """kill -9 of the store, and the same store again after some seconds."""
    seconds = stage.dice.uniform(0.5, 8.0)
    stage.say(f"kill -9 MinIO for {seconds:.1f} s")
    before = stage.minio
    before.kill()

    def again() -> None:
        stage.minio = stage.servers.minio(data_dir=before.data_dir, port=before.port)

    stage.later(seconds, "MinIO starts again", again)


def restart_kafka(stage: Stage) -> None:
    """kill -9 of the broker, and the same broker again after some seconds."""
    seconds = stage.dice.uniform(0.5, 5.0)
    stage.say(f"kill -9 Kafka for {seconds:.1f} s")
    before = stage.kafka
    before.kill()

    def again() -> None:
        stage.kafka = stage.servers.kafka(data_dir=before.data_dir, port=before.port)

    stage.later(seconds, "Kafka starts again", again)


def maintain(stage: Stage) -> None:
    """Somebody else compacts or checkpoints a table under the running pipeline."""
    what = stage.dice.choice(["optimize", "checkpoint"])
    uri = stage.table + stage.dice.choice(["", "__dlq"])
    began = time.monotonic()
    stage.say(f"{what} of {uri} by another process")
    done = subprocess.run(
        [sys.executable, "-c", _MAINTENANCE, uri, what],
        input=json.dumps(stage.storage_options).encode(),
        capture_output=True,
        timeout=_MAINTENANCE_SECONDS_MAX,
        check=False,
    )
    how = "done" if done.returncode == 0 else done.stderr.decode().strip().splitlines()[-1][:150]
    stage.say(f"  {how} after {time.monotonic() - began:.1f} s")


Action = Callable[[Stage], None]


def choices(stage: Stage) -> dict[Action, int]:
    """What can happen now, with its weight."""
    awake, total = len(_awake(stage)), len(stage.workers)
    minio_up, kafka_up = stage.minio.process.is_running(), stage.kafka.process.is_running()
    possible = {
        kill_worker: 4 if total > 0 else 0,
        restart_worker: 3 if awake > 0 else 0,
        suspend_worker: 3 if awake > WORKERS_MIN else 0,
        add_worker: 3 if total < WORKERS_MAX else 0,
        remove_worker: 2 if awake > WORKERS_MIN else 0,
        spoil_commits: 8,
        spoil_files: 2,
        spoil_reads: 2,
        restart_minio: 2 if minio_up else 0,
        restart_kafka: 2 if kafka_up else 0,
        maintain: 2 if minio_up else 0,
    }
    return {action: weight for action, weight in possible.items() if weight}


def act(stage: Stage) -> None:
    """Throw the dice, and do it."""
    possible = choices(stage)
    action = stage.dice.choices(list(possible), weights=list(possible.values()))[0]
    action(stage)
