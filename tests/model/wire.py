"""PUTs that outlive their writer: the model's `late` slots, played by a proxy on a real store."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.faults.modes import Fault
from tests.faults.s3_proxy import S3FaultProxy
from tests.model.world import DATA, DEAD

FOLDERS = {DATA: "data", DEAD: "dead_letters"}


@dataclass
class Wire:
    """What is held before the store, by table, oldest first."""

    proxy: S3FaultProxy
    landed: int = 0
    refused: int = 0
    _held: dict[int, list[Fault]] = field(default_factory=lambda: {DATA: [], DEAD: []})

    def hold(self, table: int) -> Fault:
        """The next log entry of the table stays on the wire, and its writer is told that it failed.

        403, because the library tries again by itself after most other answers.
        """
        key = rf"/{FOLDERS[table]}/_delta_log/\d+\.json$"
        fault = self.proxy.inject("late", key=key, answer=403)
        self._held[table].append(fault)
        return fault

    def land(self, table: int) -> None:
        """The newest held entry reaches the store, which must take it."""
        fault = self._held[table].pop()
        fault.release()
        assert fault.wait_delivered() == 200
        self.landed += 1
        self.taken(table)

    def taken(self, table: int) -> None:
        """Another entry has the version that all held ones aim at: the store must refuse them."""
        for fault in self._held[table]:
            fault.release()
            assert fault.wait_delivered() == 412
            self.refused += 1
        self._held[table].clear()
