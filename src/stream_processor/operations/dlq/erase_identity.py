"""Which event a person means by topic, partition and offset. Pure.

A topic that was deleted and made again, or cut and accepted so, has had other events at the same
places: each incarnation has its own topic id, and only one of them is meant.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from stream_processor.errors import ConfigurationError, StreamProcessorError
from stream_processor.operations.dlq.identity import Identity
from stream_processor.operations.snapshots import partitions_of
from stream_processor.ports import Memory, Partition
from stream_processor.schema.display import printable

_TEXT_LIMIT = 200
_NAMED_MAX = 5


@dataclass(frozen=True, slots=True)
class EraseRequest:
    """The event at `offset`; `topic_id` tells several topics of one name apart."""

    topic: str
    partition: int
    offset: int
    topic_id: str | None = None

    def __str__(self) -> str:
        return f"{printable(self.topic, _TEXT_LIMIT)}[{self.partition}] at {self.offset}"

    def nothing_stored(self, identity: Identity) -> StreamProcessorError:
        """The error for an event of which nothing was ever kept, or that is gone without erase."""
        return StreamProcessorError(
            f"nothing of {self} is stored: neither a row, nor a dead letter, nor in the archive",
            hint=f"(topic id {identity.partition.topic_id}) it was skipped by rule, never "
            "delivered, or removed by somebody else: there is nothing to erase",
        )


def identify(request: EraseRequest, data: Memory, dead: Memory) -> Identity:
    """The one event that is meant, by what the tables remember.

    Raises `StreamProcessorError` when they know no such partition or have not come to the offset,
    and `ConfigurationError` when several incarnations have had an event there.
    """
    known = partitions_of(data, dead)
    named = [p for p in known.values() if p.topic == request.topic]
    here = [
        p
        for p in named
        if p.partition == request.partition and request.topic_id in (None, p.topic_id)
    ]
    if not here:
        raise _unknown(request, sorted(known.values()), named)
    holding = [p for p in here if _reached(p, request.offset, data)]
    if len(holding) > 1:
        ids = ", ".join(str(p.topic_id) for p in sorted(holding))
        raise ConfigurationError(
            f"several topics named {printable(request.topic, _TEXT_LIMIT)} have had an event at "
            f"{request.offset} of partition {request.partition}: ids {ids}",
            hint="name the one that you mean with --topic-id",
        )
    if not holding:
        raise _not_reached(request, here, data)
    return Identity(holding[0], request.offset)


def _reached(partition: Partition, offset: int, data: Memory) -> bool:
    position = data.positions.get(partition.key)
    return position is not None and position.start <= offset < position.next_offset


def _not_reached(
    request: EraseRequest, here: list[Partition], data: Memory
) -> StreamProcessorError:
    known = [data.positions[p.key] for p in here if p.key in data.positions]
    said = ", ".join(f"{each.start} to {each.next_offset - 1}" for each in known) or "none yet"
    return StreamProcessorError(
        f"the tables have not come to {request}: they hold the offsets {said}",
        hint="check the offset; an event whose batch is half written can be erased when the "
        "stream has gone on",
    )


def _unknown(
    request: EraseRequest, known: list[Partition], named: list[Partition]
) -> StreamProcessorError:
    if named:
        places = ", ".join(f"[{p.partition}] {p.topic_id or ''}".strip() for p in sorted(named))
        hint = f"of this topic they know {places}"
    else:
        topics = sorted({p.topic for p in known})
        near = difflib.get_close_matches(request.topic, topics, _NAMED_MAX) or topics[:_NAMED_MAX]
        hint = "they know " + (", ".join(printable(t, _TEXT_LIMIT) for t in near) or "no topic yet")
    return StreamProcessorError(f"the tables know nothing of {request}", hint=hint)
