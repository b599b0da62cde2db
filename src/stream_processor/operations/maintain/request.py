"""What a person, or the writer's schedule, asks of one maintenance."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Step = Literal["fold", "compact", "vacuum", "checkpoint", "clean"]
STEPS: tuple[Step, ...] = ("fold", "compact", "vacuum", "checkpoint", "clean")
"""In the order in which they are done."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What one maintenance may spend: small files that it reads, their bytes, and seconds.

    Looked at between two steps, so the last one may go over it: a step is one partition, or a whole
    table without partitions.
    """

    files: int = 20_000
    size_bytes: int = 16 * 2**30
    seconds: float = 900.0


@dataclass(frozen=True, slots=True)
class MaintainRequest:
    """Which steps, and within which bounds."""

    steps: tuple[Step, ...] = STEPS
    budget: Budget = Budget()


@dataclass(slots=True)
class Spending:
    """How much of a budget is left. State of one maintenance."""

    budget: Budget
    monotonic: Callable[[], float] = time.monotonic
    files: int = 0
    size_bytes: int = 0
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.monotonic()

    @property
    def used_up(self) -> bool:
        """Whether no further step may begin."""
        return (
            self.files >= self.budget.files
            or self.size_bytes >= self.budget.size_bytes
            or self.monotonic() - self._began >= self.budget.seconds
        )

    def spend(self, files: int, size_bytes: int) -> None:
        """A step has read so much."""
        self.files += files
        self.size_bytes += size_bytes
