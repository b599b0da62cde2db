"""The breaker's arithmetic equals a slow and obvious reading of its rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_processor.runtime.flow import Flow, Limits, Outcomes, after

Event = tuple[int, bool]
"""The partition, and whether it became a dead letter."""


@dataclass
class Obvious:
    """Remembers every event that ever came, and looks at all of them again after each batch."""

    limits: Limits
    events: list[Event] = field(default_factory=list)
    open: bool = False

    def batch(self, events: Sequence[Event]) -> None:
        self.events += events
        runs: dict[int, int] = {}
        lengths = []
        for partition, dead in self.events:
            runs[partition] = runs.get(partition, 0) + 1 if dead else 0
            lengths.append(runs[partition])
        window = self.events[-self.limits.window_records :]
        full = len(window) == self.limits.window_records
        ratio = sum(dead for _, dead in window) / max(1, len(window))
        long = max(lengths[-self.limits.window_records :], default=0)
        if long >= self.limits.max_consecutive or (full and ratio > self.limits.max_ratio):
            self.open = True
        elif full and ratio <= self.limits.max_ratio / 2:
            self.open = False


LIMITS = st.builds(
    Limits,
    max_ratio=st.sampled_from([0.1, 0.2, 0.5, 1.0]),
    window_records=st.integers(1, 12),
    max_consecutive=st.integers(1, 8),
)
EVENTS = st.tuples(st.integers(0, 2), st.booleans() | st.just(value=False))


@settings(max_examples=1000, deadline=None)
@given(LIMITS, st.lists(st.lists(EVENTS, max_size=15), max_size=8))
def test_the_flow_agrees_with_the_obvious_reading(
    limits: Limits, batches: list[list[Event]]
) -> None:
    """It decides whether a stream stops, so nobody should have to believe it."""
    flow, obvious = Flow(), Obvious(limits)
    for events in batches:
        obvious.batch(events)
        if events:
            flow = after(
                flow,
                Outcomes(
                    np.array([dead for _, dead in events], np.bool_),
                    np.array([partition for partition, _ in events], np.int64),
                ),
                limits,
            )
        assert flow.open == obvious.open
        assert flow.records <= limits.window_records
