"""A small stream in a folder, and maintenance of its tables at a moment that the test says."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

from stream_processor.operations.dlq.replay_request import Doer, Surroundings
from stream_processor.operations.maintain.places import Place, places_of
from stream_processor.operations.maintain.plan import plan
from stream_processor.operations.maintain.report import MaintainPlan, MaintainReport, TableReport
from stream_processor.operations.maintain.request import MaintainRequest, Step
from stream_processor.operations.maintain.run import maintain
from stream_processor.ports import KillPoint, never
from tests.audit import Tables as Audited
from tests.audit import audit
from tests.letters import Letters, broken, good

DAY = 86_400.0


@dataclass
class Later:
    """A clock that is some days ahead."""

    days: float = 0.0

    def now(self) -> float:
        return time.time() + self.days * DAY

    def monotonic(self) -> float:
        return time.monotonic()


class Tended(Letters):
    """A `Letters` world that is maintained too."""

    def __init__(self, folder: Path, pipeline: str = "") -> None:
        super().__init__(folder, pipeline)
        self.stop = threading.Event()

    def busy(self, batches: int) -> None:
        """So many commits, each of one row and two dead letters."""
        for _ in range(batches):
            high = len(self.log.script)
            self.stream(good(high), b"{", broken(high + 2))

    def places(self) -> tuple[Place, ...]:
        loaded = self.loaded()
        return places_of(loaded.pipeline, loaded.schema_file)

    def plan(self, days: float = 0.0) -> MaintainPlan:
        return plan("orders", self.places(), Later(days))

    def maintain(
        self,
        *steps: Step,
        days: float = 0.0,
        kill_point: KillPoint = never,
        request: MaintainRequest | None = None,
    ) -> MaintainReport:
        around = Surroundings(Doer("r-1", "tester"), Later(days), self.stop, kill_point)
        asked = request or (MaintainRequest(steps) if steps else MaintainRequest())
        return maintain("orders", self.places(), asked, around)

    def prove(self) -> None:
        """Both proofs, which share no code."""
        report = self.verify()
        assert report.clean, report.findings
        audit(Audited("orders", self.tables.data, self.tables.dead_letters))


def of(report: MaintainReport, table: str) -> TableReport:
    """What was done to one table."""
    return next(each for each in report.tables if each.table == table)
