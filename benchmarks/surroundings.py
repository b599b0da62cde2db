"""The machine, the versions and the commit: what a figure means nothing without."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stream_processor.processor.native.library import decoder_name

PACKAGES = ("confluent-kafka", "deltalake", "msgspec", "pyarrow", "numpy")


def surroundings(shared_with: str) -> dict[str, Any]:
    """Asked before a benchmark begins; `shared_with` names the servers on the same cores."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores shared with {shared_with}",
        "load_average_before": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
        "decoder": decoder_name(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "commit": subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip(),
    }
