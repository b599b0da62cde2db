"""What maintenance would do, and what it did: values that become JSON as they stand."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class TablePlan:
    """One table as it is, and what would be done.

    `small` files of `small_bytes` would be joined; `unfolded` commits folded; `unnamed` files,
    which no version that is promised needs, removed by vacuum; `expired` entries of the log, all
    before version `expired_before`, cleaned. `since_checkpoint` commits are behind the newest
    checkpoint; `checkpoint` says that one is due. `missing` versions were cleaned by somebody else
    before they were folded. `held_back` is one sentence why vacuum and cleaning wait.
    """

    table: str
    uri: str
    version: int
    log_versions: int
    files: int
    size_bytes: int
    small: int
    small_bytes: int
    unfolded: int
    missing: int
    unnamed: int
    since_checkpoint: int
    checkpoint: bool
    expired: int
    expired_before: int | None
    held_back: str | None

    @property
    def anything(self) -> bool:
        """Whether there is anything to do."""
        return any((self.small, self.unfolded, self.unnamed, self.checkpoint, self.expired))


@dataclass(frozen=True, slots=True)
class MaintainPlan:
    """What `maintain` without `--apply` says."""

    pipeline: str
    tables: tuple[TablePlan, ...]

    def as_json(self) -> dict[str, Any]:
        """For `maintain --json`."""
        return {
            "pipeline": self.pipeline,
            "applied": False,
            "tables": [asdict(table) for table in self.tables],
        }


@dataclass(frozen=True, slots=True)
class TableReport:
    """What was done to one table. `left` small files remain; `trouble` is one sentence why a step
    did not end well."""

    table: str
    uri: str
    folded: int = 0
    joined: int = 0
    made: int = 0
    joined_bytes: int = 0
    left: int = 0
    vacuumed: int = 0
    checkpoint: bool = False
    cleaned: int = 0
    held_back: str | None = None
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class MaintainReport:
    """What `maintain --apply` did. `stopped`: it was asked to end; `spent`: its budget was used
    up, and the next one goes on."""

    pipeline: str
    run_id: str
    tables: tuple[TableReport, ...]
    stopped: bool
    spent: bool

    @property
    def troubled(self) -> bool:
        """Whether any step did not end well."""
        return any(table.trouble for table in self.tables)

    def as_json(self) -> dict[str, Any]:
        """For `maintain --apply --json`."""
        return {
            "pipeline": self.pipeline,
            "applied": True,
            "run_id": self.run_id,
            "stopped": self.stopped,
            "spent": self.spent,
            "tables": [asdict(table) for table in self.tables],
        }
