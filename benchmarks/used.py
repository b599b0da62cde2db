"""What a process that is measured says of itself: seconds, CPU, peak of memory."""

from __future__ import annotations

import time
from pathlib import Path


class Used:
    """What this process has used since this was made, and its peak of memory since it began."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def seconds(self) -> float:
        return time.perf_counter() - self._wall

    def figures(self) -> dict[str, float]:
        return {
            "seconds": round(self.seconds(), 2),
            "cpu_seconds": round(time.process_time() - self._cpu, 2),
            "peak_mib": peak_mib(),
        }


def peak_mib() -> int:
    """Of this process alone: the peak that `getrusage` knows begins with what its parent had."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024
