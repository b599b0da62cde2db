"""`make bench` with few events: that it runs, not how fast; a timed test would only be flaky."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack import Kafka, Minio

RUN = Path(__file__).parents[2] / "benchmarks" / "run.py"
BENCHMARKS = {"end-to-end", "flood", "freshness", "memory", "restart"}


@pytest.mark.stack
def test_every_benchmark_runs_and_says_on_what(kafka: Kafka, minio: Minio, tmp_path: Path) -> None:
    """A benchmark that no longer runs is noticed now, not when somebody needs its figures."""
    done = subprocess.run(
        [sys.executable, str(RUN), "--quick", "--results", str(tmp_path)],
        env=os.environ
        | {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "S3_ENDPOINT": minio.endpoint,
            "S3_ACCESS_KEY_ID": minio.access_key,
            "S3_SECRET_ACCESS_KEY": minio.secret_key,
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("*.json")}
    assert results.keys() == BENCHMARKS
    for name, result in results.items():
        assert f"{name}: {result['question']}" in done.stdout
        assert {"machine", "versions", "commit", "load_average_before"} <= result.keys()
