"""One pipeline as a process of its own, that prints what it used. For the benchmarks.

    python benchmarks/job.py JOB.json

The job file: `pipeline` and `schema` as in the files, `until_latest`. Runs `operations.run`, as the
command line does, with an observer that measures. The last line of stdout is the result as JSON;
before it, `committed TIME NUMBER` when a batch is in the table, `settled TIME RECORDS` when the
engine has noticed and, twice a second, `rss TIME BYTES`.
CPU and wall time count from the first claim to the last durable batch, all threads included; what
starting up costs is told apart.
"""

from __future__ import annotations

import json
import resource
import signal
import statistics
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from used import peak_mib

from stream_processor.config.fields import SchemaFile
from stream_processor.config.pipeline import Pipeline
from stream_processor.operations.assemble import Environment, RunTerms
from stream_processor.operations.run import RunRequest, run
from stream_processor.ports import Offsets, Partition, Standing
from stream_processor.runtime.clock import SystemClock

TICKS_PER_SECOND = 100


class Meter:
    """The observer of a measured run. The engine's thread calls most of it, the writer some."""

    def __init__(self) -> None:
        self.stages: dict[str, list[float]] = defaultdict(list)
        self.began: tuple[float, float] | None = None
        self.ended = (0.0, 0.0)
        self.threads: dict[str, float] = {}
        self.records = 0
        self.dead = 0
        self.commits = 0

    def state(self, state: str, reason: str = "") -> None:
        if reason:
            print(state, reason, file=sys.stderr, flush=True)

    def settled(self, upto: Offsets, dead_by_code: Mapping[tuple[str, str], int]) -> None:
        records = sum(at.rows + at.dead for at in upto.values())
        self.records += records
        self.dead += sum(dead_by_code.values())
        self.commits += 1
        self.ended = (cpu_seconds(), time.perf_counter())
        self.threads = cpu_by_thread()
        print("settled", time.time(), records, flush=True)

    def timed(self, stage: str, seconds: float) -> None:
        self.stages[stage].append(seconds)
        if stage == "data":
            print("committed", time.time(), self.commits + 1, flush=True)

    def standing(self, where: Mapping[Partition, Standing]) -> None: ...

    def buffered(self, records: int, size_bytes: int) -> None: ...

    def event(self, name: str, **fields: object) -> None:
        print(name, fields, file=sys.stderr, flush=True)
        if name == "claimed" and self.began is None:
            self.began = (cpu_seconds(), time.perf_counter())

    def report(self) -> dict[str, Any]:
        began = self.began or (0.0, 0.0)
        cpu, wall = self.ended[0] - began[0], self.ended[1] - began[1]
        return {
            "records": self.records,
            "dead_letters": self.dead,
            "commits": self.commits,
            "cpu_seconds": round(cpu, 3),
            "wall_seconds": round(wall, 3),
            "cpu_us_per_event": round(cpu / max(1, self.records) * 1e6, 3),
            "events_per_second": round(self.records / wall) if self.records else 0,
            "start_up_cpu_seconds": round(began[0], 2),
            "peak_rss_mib": peak_mib(),
            "stages": {name: _stage(times) for name, times in sorted(self.stages.items())},
            "cpu_seconds_by_thread": self.threads,
        }


def _stage(times: list[float]) -> dict[str, float]:
    return {
        "count": len(times),
        "total_seconds": round(sum(times), 3),
        "p50_ms": round(statistics.median(times) * 1000, 1),
        "max_ms": round(max(times) * 1000, 1),
    }


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def cpu_by_thread() -> dict[str, float]:
    """Seconds of CPU of the threads that live now, by name (threads of one name together)."""
    found: dict[str, float] = defaultdict(float)
    for task in Path("/proc/self/task").iterdir():
        try:
            name = (task / "comm").read_text().strip()
            fields = (task / "stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            continue
        if task.name == str(threading.main_thread().native_id):
            name = "engine"
        found[name] += (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
    return {name: round(seconds, 2) for name, seconds in sorted(found.items()) if seconds >= 0.01}


def rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def watch_memory(over: threading.Event) -> None:
    while not over.wait(0.5):
        print("rss", time.time(), rss_bytes(), flush=True)


def main(path: str) -> None:
    job = json.loads(Path(path).read_text())
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    meter = Meter()
    watcher = threading.Thread(target=watch_memory, args=(stop,), daemon=True)
    watcher.start()
    run(
        Pipeline.model_validate(job["pipeline"]),
        SchemaFile.model_validate(job["schema"]),
        RunRequest(RunTerms(until_latest=job.get("until_latest", True))),
        Environment(meter, SystemClock(), stop),
    )
    stop.set()
    watcher.join()
    print(json.dumps(meter.report()))


if __name__ == "__main__":
    main(sys.argv[1])
