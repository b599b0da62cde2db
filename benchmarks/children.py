"""Starts what is measured as processes of their own, and reads what they print."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class Job:
    """One life of a pipeline. What it prints goes to a file, so that nothing waits for a reader."""

    def __init__(
        self, pipeline: Mapping[str, Any], schema: Mapping[str, Any], *, until_latest: bool = True
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bench-job-")
        job = Path(self._folder.name) / "job.json"
        job.write_text(
            json.dumps({"pipeline": pipeline, "schema": schema, "until_latest": until_latest})
        )
        self.output = job.with_name("output")
        self.errors = job.with_name("errors")
        with self.output.open("wb") as out, self.errors.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "job.py"), str(job)], stdout=out, stderr=err
            )

    def result(self, seconds_max: float = 600) -> dict[str, Any]:
        """Wait for its end; what it measured. Raises `RuntimeError` with what it said."""
        try:
            code = self.process.wait(seconds_max)
        finally:
            self.end()
        if code != 0:
            raise RuntimeError(f"the job ended with {code}: {self.errors.read_text()[-2000:]}")
        return dict(json.loads(self.output.read_text().splitlines()[-1]))

    def stop(self) -> dict[str, Any]:
        """SIGTERM; then as `result`."""
        self.process.terminate()
        return self.result(60)

    def lines(self, kind: str) -> list[tuple[float, int]]:
        """(time, number) of every complete line of that kind so far."""
        found = []
        for line in self.output.read_text().splitlines(keepends=True):
            words = line.split()
            if line.endswith("\n") and len(words) == 3 and words[0] == kind:
                found.append((float(words[1]), int(words[2])))
        return found

    def end(self) -> None:
        """Kill it, if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def measured(script: str, *arguments: object) -> dict[str, Any]:
    """Run another script of this folder to its end; the last line that it prints, from JSON."""
    done = subprocess.run(
        [sys.executable, str(HERE / script), *map(str, arguments)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))
