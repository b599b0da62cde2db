"""When a batch is complete."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """A poll returns as soon as one of these is met; made by the composition root.

    `rows_max` is exact. `bytes_max` counts keys, values and headers and may be passed by one fetch
    of at most a thousand events. `age_seconds` runs from the first event of the batch.
    """

    rows_max: int
    bytes_max: int
    age_seconds: float

    def __post_init__(self) -> None:
        if self.rows_max < 1 or self.bytes_max < 1 or self.age_seconds <= 0:
            raise ValueError("every limit of a batch must be above zero")
