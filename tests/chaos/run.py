"""Random kills, zombies, outages and lost answers, and then the proof that nothing was lost.

    python -m tests.chaos.run --seconds 120 [--seed 7]          # make chaos SECONDS=120

Starts a Kafka and a MinIO of its own, a producer that never rests, and one to three processes of
one pipeline; every few seconds something happens to one of them. At the end everything is healed,
the workers must reach the end of the log by themselves, and `verify` and the independent audit must
be clean. The seed is printed first: it decides which actions come in which order, though not what
the machine makes of them. Exit code 0 when all is well, 1 with the report otherwise, 130 on Ctrl-C.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from stream_processor.config.pipeline import Pipeline
from stream_processor.operations.kafka_readers import holes_reader
from stream_processor.operations.snapshots import tables_of
from stream_processor.operations.verify import verify
from tests.audit import Tables, audit
from tests.chaos.actions import act
from tests.chaos.producer import Landed, differences
from tests.chaos.stage import TOPIC, Finding, Stage, on_stage

EVENTS_PER_SECOND = 100
PAUSE_SECONDS = (0.5, 4.0)
LOG_TAIL_LINES = 60


def main() -> int:
    """Run, prove, report."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, _as_interrupt)
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    print(f"seed {asked.seed}; files in {folder}", flush=True)
    try:
        with on_stage(folder, asked.seed) as stage:
            try:
                _play(stage, asked.seconds)
            except Exception as error:  # noqa: BLE001 - whatever it is, it goes into the report
                _report(stage, error, asked.seed)
                return 1
    except KeyboardInterrupt:
        print("interrupted; everything was stopped", flush=True)
        return 130
    if not asked.keep:
        shutil.rmtree(folder)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=120.0, help="how long things go wrong")
    parser.add_argument(
        "--seed", type=int, default=random.randrange(1_000_000), help="of the dice; else random"
    )
    parser.add_argument("--keep", action="store_true", help="leave the logs, also when all is well")
    return parser.parse_args()


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _play(stage: Stage, seconds: float) -> None:
    stage.producer.start(EVENTS_PER_SECOND)
    for _ in range(2):
        stage.start_worker()
    stage.pass_time(3.0)
    until, actions = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        act(stage)
        actions += 1
        stage.pass_time(stage.dice.uniform(*PAUSE_SECONDS))
    stage.heal()
    landed = stage.producer.finish()
    stage.catch_up()
    stage.dismiss_all()
    lost = list(differences(stage.kafka.bootstrap_servers, TOPIC, landed))
    assert not lost, f"the log is not what the producer was told: {lost[:5]}"
    conclusion = _prove(stage, landed)
    stage.say(f"{actions} actions; {conclusion}; the audit agrees")


def _prove(stage: Stage, landed: Landed) -> str:
    pipeline = Pipeline.model_validate(stage.pipeline(stage.minio.endpoint))
    report = verify(tables_of(pipeline), holes_reader(pipeline))
    if not report.clean or report.total(lambda each: each.holes):
        raise Finding(f"verify: {report.conclusion}; {report.findings}")
    name = pipeline.pipeline_id
    audit(Tables(name, stage.table, f"{stage.table}__dlq", stage.storage_options), landed)
    return report.conclusion


def _report(stage: Stage, error: Exception, seed: int) -> None:
    """What was found, and the last words of every worker, with where its threads stand."""
    workers = stage.everyone()
    for worker in workers:
        if worker.process.poll() is None:
            worker.process.send_signal(signal.SIGCONT)
            worker.process.send_signal(signal.SIGUSR1)
    time.sleep(1.0)  # until the stacks are written
    for worker in workers:
        print(f"--- {worker.label}, the end of its log", flush=True)
        print("\n".join(worker.job.log().splitlines()[-LOG_TAIL_LINES:]))
    print(f"--- seed {seed}: {type(error).__name__}: {error}", flush=True)
    print(f"all logs and both servers' files stay in {stage.folder}")


if __name__ == "__main__":
    sys.exit(main())
