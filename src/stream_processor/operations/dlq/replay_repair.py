"""Writes into the ledger what an earlier replay did and could not say any more.

A replay makes a step durable first and names it in the ledger second. A job that was killed between
the two has left its step's number in the data table; there is at most one such step, since every
replay repairs before it makes its own. The log says which files the step added, and they say which
events it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from stream_processor.operations.dlq.letters import DeadLetters
from stream_processor.operations.dlq.replay_actions import Deed, action_rows, no_actions
from stream_processor.operations.dlq.replay_places import IDENTITY, Fate, Places, places_of
from stream_processor.operations.dlq.replay_request import Doer
from stream_processor.operations.dlq.selection import Selector
from stream_processor.operations.dlq.unrecorded import ROWS, added_events, commit_of
from stream_processor.ports import ObjectStore
from stream_processor.sinks.delta_desk import Desk
from stream_processor.sinks.delta_ledger import Ledger
from stream_processor.sinks.delta_log import Commit, note_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LETTER = ("dlq_id", *IDENTITY)

FindSent = Callable[[Mapping[str, Any]], Iterator[pa.RecordBatch]]
"""The events that a step brought to a topic, by the note of its commit; columns `IDENTITY`."""


@dataclass(frozen=True, slots=True)
class Repair:
    """Made by the replay job once it has the desk. `store` holds the data table.

    `find_sent` asks Kafka about a step that sent records to a topic.
    """

    desk: Desk
    ledger: Ledger
    store: ObjectStore
    letters: Callable[[], DeadLetters]
    find_sent: FindSent

    def run(self) -> int:
        """Write the missing actions; return how many. Raises `Unavailable`.

        Where a step's files are gone, membership covers its records when they are selected again.
        """
        last = self.desk.last_write
        if last is None or self.ledger.names(last):
            return 0
        found = commit_of(self.store, self.desk.spec.pipeline_id, last)
        actions = no_actions() if found is None else self._actions(found)
        self.ledger.record(actions, last, {"repaired": last.number})
        return int(actions.num_rows)

    def _actions(self, commit: Commit) -> pa.Table:
        note = note_of(commit)
        if note["kind"] == ROWS:
            places, version = places_of(added_events(self.store, commit.version)), commit.version
        else:
            places, version = places_of(self.find_sent(note)), None
        deed = Deed("replayed", note["target"], version, note["note"])
        doer = Doer(note["run"], note["actor"])
        at = _EPOCH + timedelta(microseconds=note["at"])
        parts = [action_rows(batch, deed, doer, at) for batch in self._letters(places)]
        return pa.concat_tables([no_actions(), *parts])

    def _letters(self, places: Places) -> Iterator[pa.RecordBatch]:
        """The dead letters of these events; one that was erased meanwhile is not named again."""
        if not places.count(Fate.TO_DO):
            return
        for batch in self.letters().read(Selector(), _LETTER):
            found = places.take(batch) == Fate.TO_DO
            if found.any():
                yield batch.filter(pa.array(found))
