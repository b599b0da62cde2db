"""The demo: real Kafka, orders of which some are broken, tables, and the proof of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream_processor.errors import ConfigurationError
from stream_processor.runtime.retry import Stop


@dataclass(frozen=True, slots=True)
class DemoRequest:
    """What the verb `demo` was asked: where the tables go, and how many new events are made."""

    folder: Path = Path("lakehouse")
    events: int = 100_000


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What `demo` prints. `text` is for a person, ready to be shown; exit 1 unless `clean`."""

    clean: bool
    text: str

    def as_json(self) -> dict[str, Any]:
        """For `demo --json`."""
        return {"clean": self.clean}


def demo(request: DemoRequest, stop: Stop) -> DemoReport:
    """Make events, process them, verify. Progress is shown on stderr. Called by the CLI.

    `stop` is set by Ctrl-C or SIGTERM: it then ends early and cleanly.
    """
    raise ConfigurationError("the demo is not part of this build")
