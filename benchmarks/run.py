"""Runs the benchmarks on a local Kafka and MinIO, prints a table and stores what was measured.

    make bench
    python benchmarks/run.py [--quick] [--only NAME] [--seconds 600] [--results FOLDER]

`--quick` runs everything with few events, to see that it works; its figures say nothing, and it
stores none unless a folder is named. `--seconds` is how long memory is watched under steady load.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bench_end_to_end
import bench_flood
import bench_freshness
import bench_memory
import bench_restart
from report import table
from surroundings import surroundings
from world import World, world

RESULTS = Path(__file__).parent / "results"
Measure = Callable[[World], dict[str, Any]]


def benchmarks(quick: bool, seconds: float) -> dict[str, tuple[Any, Measure]]:  # noqa: FBT001 - argparse's own
    """Every benchmark by the name of its result: the module that explains it, and how it runs."""
    few = {"events": 16_000, "rounds": 1} if quick else {"events": 2_000_000, "rounds": 3}
    short = 1.5 if quick else 60.0
    return {
        "end-to-end": (bench_end_to_end, lambda w: bench_end_to_end.measure(w, **few)),
        "flood": (bench_flood, lambda w: bench_flood.measure(w, **few)),
        "freshness": (bench_freshness, lambda w: bench_freshness.measure(w, short)),
        "restart": (bench_restart, lambda w: bench_restart.measure(w, 1 if quick else 100)),
        "memory": (
            bench_memory,
            lambda w: bench_memory.measure(w, 2.0 if quick else seconds, few["events"]),
        ),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", action="append")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--results", type=Path)
    given = parser.parse_args()
    folder = given.results or (None if given.quick else RESULTS)
    chosen = benchmarks(given.quick, given.seconds)
    with world() as here:
        for name, (module, measure) in chosen.items():
            if given.only and name not in given.only:
                continue
            print(f"{name}: measuring", file=sys.stderr, flush=True)
            began = time.monotonic()
            facts = surroundings("Kafka and MinIO")
            result = {
                "question": str(module.__doc__).splitlines()[0],
                **measure(here),
                **facts,
                "took_seconds": round(time.monotonic() - began, 1),
                "load_average_after": [round(load, 2) for load in os.getloadavg()],
            }
            print(table(name, result), flush=True)
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
