"""The stage of a chaos run: an own Kafka, an own MinIO behind the fault proxy, workers, a clock."""

from __future__ import annotations

import heapq
import itertools
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from stream_processor.operations.local_stack import RunningKafka, RunningMinio
from stream_processor.sources.kafka_admin import create_topic
from tests.chaos.producer import SteadyProducer, ends
from tests.chaos.worker import Leaving, Worker, fate
from tests.crash.world import (
    IMPATIENT,
    NEW_SCHEMA,
    OLD_SCHEMA,
    Job,
    pipeline_dict,
    storage_dict,
)
from tests.faults.s3_proxy import S3FaultProxy
from tests.stack import OwnServers, minio_of

TOPIC = "orders"
PARTITIONS = 6
SESSION_SECONDS = 6.0
LEAVE_SECONDS_MAX = 60.0
STANDSTILL_SECONDS_MAX = 75.0
WORKERS_MIN, WORKERS_MAX = 1, 3


class Finding(AssertionError):
    """Something that must not be, seen while the run goes on."""


@dataclass
class Stage:
    """Everything that the actions act upon. Used by one thread, which also started the servers."""

    folder: Path
    dice: random.Random
    servers: OwnServers
    kafka: RunningKafka
    minio: RunningMinio
    proxy: S3FaultProxy
    bucket: str
    producer: SteadyProducer
    workers: list[Worker] = field(default_factory=list)
    leaving: list[Leaving] = field(default_factory=list)
    healed: bool = False
    _agenda: list[tuple[float, int, str, Callable[[], None]]] = field(default_factory=list)
    _serial: Iterator[int] = field(default_factory=itertools.count)
    _began: float = field(default_factory=time.monotonic)

    # -- the clock ----------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """One line with the time since the beginning."""
        print(f"[{time.monotonic() - self._began:7.2f} s] {text}", flush=True)

    def later(self, seconds: float, text: str, act: Callable[[], None]) -> None:
        """Do it in so many seconds, or when the run ends; `text` is said then."""
        heapq.heappush(self._agenda, (time.monotonic() + seconds, next(self._serial), text, act))

    def pass_time(self, seconds: float) -> None:
        """Let the world go on for so long; raises `Finding` when a worker ended by itself."""
        until = time.monotonic() + seconds
        while (now := time.monotonic()) < until:
            if self._agenda and self._agenda[0][0] <= now:
                self._do_next()
            self.look()
            time.sleep(min(0.05, max(0.0, until - now)))

    def heal(self) -> None:
        """Do now whatever was planned for later, and let the proxy behave."""
        self.say("heal: everything runs again")
        self.healed = True
        while self._agenda:
            self._do_next()
        self.proxy.clear()
        while len(self.workers) < WORKERS_MIN:
            self.start_worker()

    def _do_next(self) -> None:
        _, _, text, act = heapq.heappop(self._agenda)
        self.say(text)
        act()

    # -- workers --------------------------------------------------------------------------------

    @property
    def storage_options(self) -> dict[str, str]:
        """MinIO without the proxy, for those who look."""
        return minio_of(self.minio).storage_options

    @property
    def table(self) -> str:
        """The data table."""
        return f"s3://{self.bucket}/orders"

    def pipeline(self, endpoint: str) -> dict[str, Any]:
        """The pipeline with its store there: behind the proxy for workers, else MinIO itself."""
        minio = storage_dict(minio_of(self.minio))
        storage = {**minio, "endpoint": endpoint, "options": IMPATIENT}
        made = pipeline_dict(self.kafka.bootstrap_servers, TOPIC, self.table, storage)
        made["source"]["kafka"]["properties"] = {
            "session.timeout.ms": str(int(SESSION_SECONDS * 1000))
        }
        return made

    def job(self) -> Job:
        """A worker as nobody had it before: other batch limits, other rules."""
        pipeline = self.pipeline(self.proxy.endpoint)
        commit = {
            "every": self.dice.choice(["100ms", "200ms", "700ms"]),
            "max_records": self.dice.choice([200, 500, 2000]),
            "max_bytes": "1MiB",
        }
        name = f"worker-{next(self._serial)}"
        rules = self.dice.choice([OLD_SCHEMA, NEW_SCHEMA])
        job = Job(self.folder, pipeline, schema=rules, until_latest=False, name=name)
        return job.with_(commit=commit, kill=None if self.healed else fate(self.dice))

    def start_worker(self) -> None:
        """One more process of the group."""
        job = self.job()
        commit = job.pipeline["sink"]["delta"]["commit"]
        worker = Worker(job.name, job, job.start())
        self.workers.append(worker)
        rules = "new" if job.schema is NEW_SCHEMA else "old"
        limits = f"every {commit['every']}, {commit['max_records']} records"
        own = worker.fate
        end = f", {own['signal']} at its {own['count']}. {own['step']}" if own else ""
        self.say(f"  {worker.label} starts: {limits}, {rules} schema{end}")

    def dismiss(self, worker: Worker) -> None:
        """SIGTERM; it must end by itself, with exit code 0."""
        self.workers.remove(worker)
        codes = {0}
        if not worker.job.log():  # it may not have got so far that it handles signals
            codes.add(-signal.SIGTERM)
        if worker.fate:
            codes.add(-signal.SIGKILL)
        worker.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + LEAVE_SECONDS_MAX
        self.leaving.append(Leaving(worker, deadline, frozenset(codes)))

    def look(self) -> None:
        """Raise `Finding` for a worker that ended, or that does not end, against the rules."""
        for worker in list(self.workers):
            code = worker.process.poll()
            if code == -signal.SIGKILL and worker.fate:
                self.say(f"{worker.label} died at {worker.fate['step']}; replaced at once")
                self.workers.remove(worker)
                self.start_worker()
            elif code is not None:
                raise Finding(f"{worker.label} ended by itself: exit code {code}")
            elif not worker.suspended and worker.is_stopped():
                self._asleep(worker)
        for each in list(self.leaving):
            self._look_at_leaving(each)

    def _asleep(self, worker: Worker) -> None:
        worker.suspended = True
        seconds = SESSION_SECONDS + self.dice.uniform(1.0, 6.0)
        step = worker.fate["step"] if worker.fate else "?"
        self.say(f"{worker.label} stopped itself at {step} for {seconds:.1f} s")
        self.later(seconds, f"SIGCONT {worker.label}", worker.wake)

    def _look_at_leaving(self, each: Leaving) -> None:
        code, label = each.worker.process.poll(), each.worker.label
        if code is None and each.worker.is_stopped():
            each.worker.wake()  # it came to its step before the SIGTERM came to it
        elif code is None and time.monotonic() > each.deadline:
            raise Finding(f"{label} did not end {LEAVE_SECONDS_MAX} s after SIGTERM")
        elif code is not None and code not in each.codes:
            raise Finding(f"{label} ended with exit code {code} after SIGTERM")
        elif code is not None:
            self.leaving.remove(each)

    # -- the end --------------------------------------------------------------------------------

    def catch_up(self) -> None:
        """Wait until the workers have brought the table to the end of the log, by themselves."""
        wanted = ends(self.kafka.bootstrap_servers, TOPIC, PARTITIONS)
        began = moved = time.monotonic()
        before: dict[int, int] = {}
        while (reached := self._reached()) != wanted:
            if reached != before:
                before, moved = reached, time.monotonic()
            if time.monotonic() - moved > STANDSTILL_SECONDS_MAX:
                raise Finding(
                    f"nothing moves for {STANDSTILL_SECONDS_MAX} s though everything runs: "
                    f"the table is at {reached}, the log ends at {wanted}"
                )
            self.pass_time(0.5)
        self.say(f"caught up in {time.monotonic() - began:.1f} s: {sum(wanted.values()):,} events")

    def _reached(self) -> dict[int, int]:
        try:
            table = DeltaTable(self.table, storage_options=self.storage_options)
        except TableNotFoundError:
            return {}
        known = self.producer.identity
        return {
            number: table.transaction_version(f"crash/{known}/{number}") or 0
            for number in range(PARTITIONS)
        }

    def dismiss_all(self) -> None:
        """SIGTERM to everyone, and wait until all have ended well."""
        while self.workers or self.leaving:
            for worker in list(self.workers):
                self.dismiss(worker)
            self.pass_time(0.1)

    def everyone(self) -> list[Worker]:
        """All that run, those included that were told to end."""
        return [*self.workers, *(each.worker for each in self.leaving)]

    def end_everyone(self) -> None:
        """At any end, also a bad one: no worker stays, stopped ones included."""
        for worker in self.everyone():
            worker.process.kill()
            worker.process.wait()


@contextmanager
def on_stage(folder: Path, seed: int) -> Iterator[Stage]:
    """Start everything; whatever happens inside the block, all of it has ended after it."""
    with ExitStack() as ended:
        servers = OwnServers(folder, ended)
        kafka, minio = servers.kafka(), servers.minio()
        create_topic(kafka.bootstrap_servers, TOPIC, PARTITIONS, {})
        proxy = ended.enter_context(S3FaultProxy(minio.endpoint))
        producer = SteadyProducer(kafka.bootstrap_servers, TOPIC, PARTITIONS, seed)
        bucket = minio_of(minio).create_bucket("chaos")
        dice = random.Random(seed)
        stage = Stage(folder, dice, servers, kafka, minio, proxy, bucket, producer)
        ended.callback(stage.end_everyone)
        yield stage
