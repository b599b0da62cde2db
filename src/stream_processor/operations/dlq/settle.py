"""Ignore and reopen: a person says what is the case with dead letters; the ledger keeps it.

Nothing moves: such an action needs no turn at the desk, and rows of the ledger never depend on one
another. A crash in between leaves the rest as it was; the same command does the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

import pyarrow as pa

from stream_processor.operations.dlq.letters import DeadLetters
from stream_processor.operations.dlq.nearest import nothing_matched
from stream_processor.operations.dlq.replay_actions import Deed, action_rows
from stream_processor.operations.dlq.replay_request import Doer
from stream_processor.operations.dlq.selection import Selector
from stream_processor.ports import Clock
from stream_processor.sinks.delta_ledger import Ledger

Action = Literal["ignored", "reopened"]

FROM: Mapping[Action, str] = {"ignored": "open", "reopened": "ignored"}
"""The status that each action changes. A replayed record is a row by now: it is not opened again,
and what was purged or erased is not there any more."""

_COLUMNS = ("dlq_id", "topic", "topic_id", "partition", "offset")
_COMMIT_ROWS = 1 << 18


@dataclass(frozen=True, slots=True)
class SettlePlan:
    """What an action would change: `changing` records in `groups` groups; `others` stay as they
    are, by their status.
    """

    action: Action
    changing: int
    groups: int
    others: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Settler:
    """Plans an action, and does it. Made by `dlq ignore` and `dlq reopen`."""

    letters: DeadLetters
    selector: Selector
    action: Action

    def plan(self) -> SettlePlan:
        """Count, change nothing. Raises `StreamProcessorError` when nothing is selected."""
        counts: Counter[str] = Counter()
        groups: set[tuple[str, int]] = set()
        keys = ["fingerprint", "fingerprint_version", "status"]
        for batch in self.letters.read_coded(self.selector, keys[:2]):
            table = pa.Table.from_batches([batch]).select(keys)
            for row in table.group_by(keys).aggregate([([], "count_all")]).to_pylist():
                counts[row["status"]] += row["count_all"]
                if row["status"] == FROM[self.action]:
                    groups.add((row["fingerprint"], row["fingerprint_version"]))
        if not counts:
            raise nothing_matched(self.letters, self.selector)
        changing = counts.pop(FROM[self.action], 0)
        return SettlePlan(self.action, changing, len(groups), counts)

    def do(self, ledger: Ledger, doer: Doer, note: str, clock: Clock) -> int:
        """Write one ledger row for each record that changes; return how many.

        Raises as `Ledger.append`; what was written until then stays.
        """
        done = 0
        for letters in self._pieces():
            at = datetime.fromtimestamp(clock.now(), UTC)
            deed = Deed(self.action, target=None, target_version=None, note=note or None)
            ledger.append(action_rows(letters, deed, doer, at))
            done += letters.num_rows
        return done

    def _pieces(self) -> Iterator[pa.RecordBatch]:
        """Those that change, many at once: each commit of the ledger is a version of it."""
        held: list[pa.RecordBatch] = []
        chosen = replace(self.selector, status=FROM[self.action])
        if self.selector.status not in (None, chosen.status):
            return
        for batch in self.letters.read(chosen, _COLUMNS):
            held.append(batch)
            if sum(each.num_rows for each in held) >= _COMMIT_ROWS:
                yield pa.concat_batches(held)
                held = []
        if held:
            yield pa.concat_batches(held)
