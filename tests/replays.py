"""A stream with dead letters, and replays of them that may die at any step.

world = Replays(tmp_path)
world.stream(event(1), event(2, "7 EUR"), b"{")     # judged by STRICT: offsets 1 and 2 are dead
world.mend()                                        # the schema file is RIGHT from now on
world.replay(Selector(status="open"))
world.prove()                                       # verify and the independent audit
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stream_processor.operations.dlq.replay import replay
from stream_processor.operations.dlq.replay_dry_run import Rehearsal, rehearse
from stream_processor.operations.dlq.replay_report import ReplayReport
from stream_processor.operations.dlq.replay_request import (
    Doer,
    ReplayRequest,
    Surroundings,
    new_run_id,
)
from stream_processor.operations.dlq.selection import Selector
from stream_processor.ports import KillPoint, never
from stream_processor.runtime.clock import SystemClock
from tests import audit
from tests.letters import Letters

Fields = Sequence[Mapping[str, Any]]

STRICT: Fields = (
    {"name": "id", "type": "long", "required": True},
    {"name": "amount", "type": "string", "required": True, "pattern": "[0-9]+"},
)
RIGHT: Fields = (
    {"name": "id", "type": "long", "required": True},
    {"name": "amount", "type": "string", "required": True},
)
OPEN = Selector(status="open")
ANY = Selector()

STEPS = (
    "desk.before_step",
    "desk.after_step",
    "replay.claimed",
    "replay.repaired",
    "replay.recorded",
    "replay.before_report",
)
"""Every place between two effects of a replay into the table."""


def event(number: int, amount: object = "7") -> bytes:
    """A row for RIGHT; for STRICT only when the amount has digits alone."""
    return json.dumps({"id": number, "amount": amount}).encode()


class Replays(Letters):
    """See the module."""

    def __init__(self, folder: Path, pipeline: str = "") -> None:
        super().__init__(folder, pipeline)
        self.write_fields(STRICT)

    def write_fields(self, fields: Fields) -> None:
        """The schema file, whole."""
        told = {"version": 1, "name": "orders", "fields": [*fields]}
        (self.folder / "orders.yaml").write_text(json.dumps(told))

    def mend(self) -> None:
        """What a person does who has found the cause."""
        self.write_fields(RIGHT)

    def replay(
        self,
        selector: Selector = OPEN,
        *,
        kill_point: KillPoint = never,
        stop: threading.Event | None = None,
        progress: Callable[[int, int], None] = lambda _done, _all: None,
        **request: Any,
    ) -> ReplayReport:
        """One job, from a new process's point of view."""
        around = Surroundings(
            Doer(new_run_id(time.time()), "tester@here"),
            SystemClock(),
            stop or threading.Event(),
            kill_point,
            progress,
        )
        return replay(self.loaded(), ReplayRequest(selector, **request), around)

    def rehearse(self, selector: Selector = OPEN, **request: Any) -> Rehearsal:
        return rehearse(self.loaded(), ReplayRequest(selector, **request), SystemClock())

    def table(self) -> list[tuple[Any, ...]]:
        """The rows, without when they were written."""
        names = ("_kafka_partition", "_kafka_offset", "id", "amount", "_rescued", "_kafka_topic_id")
        return sorted(tuple(row[name] for name in names) for row in self.rows())

    def statuses(self) -> dict[int, str]:
        """The newest action of each offset that has one."""
        return {action["offset"]: action["action"] for action in self.actions()}

    def prove(self) -> None:
        """Nothing is lost or double: `verify`, and the audit that shares no code with it."""
        report = self.verify()
        assert report.clean, report.findings
        tables = self.tables
        audit.audit(audit.Tables("orders", tables.data, tables.dead_letters))
