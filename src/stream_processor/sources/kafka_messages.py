"""From the client's messages to columns: the one place that touches every record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import cast

import numpy as np
import numpy.typing as npt
from confluent_kafka import KafkaError, Message

from stream_processor.errors import InternalError
from stream_processor.sources.kafka_topics import Place
from stream_processor.sources.positions import Positions
from stream_processor.sources.raw_columns import Fetch, Headers

# Bound once, and mapped over whole lists: this loop is most of what the source costs. The casts
# say what holds for consumed records; the client's types cover messages of producers too.
_error, _timestamp = Message.error, Message.timestamp
_key, _value = Message.key, Message.value
_topic = cast("Callable[[Message], str]", Message.topic)
_partition = cast("Callable[[Message], int]", Message.partition)
_offset = cast("Callable[[Message], int]", Message.offset)
_headers = cast("Callable[[Message], Headers | None]", Message.headers)
_first, _second = itemgetter(0), itemgetter(1)


def is_record(message: Message) -> bool:
    """Whether it carries an event of the topic, not one of the client."""
    return _error(message) is None


def failure(event: Message) -> KafkaError:
    """What a message that is no record tells."""
    error = _error(event)
    if error is None:
        raise InternalError("a record was taken for an event of the client")
    return error


def place(message: Message) -> Place:
    """Where a message belongs; an error of the whole client belongs nowhere: ("", -1)."""
    return (_topic(message) or "", _partition(message))


def offset_of(message: Message) -> int:
    """The offset of a record, or the one that an event speaks of."""
    return _offset(message)


def split(messages: list[Message]) -> tuple[list[Message], list[Message]]:
    """Separate records from events (end of partition, errors), each in the order of delivery."""
    errors = list(map(_error, messages))
    # By identity: a KafkaError that is compared with None leaves an exception pending.
    if not [error for error in errors if error is not None]:
        return messages, []
    records = [m for m, error in zip(messages, errors, strict=True) if error is None]
    return records, [m for m, error in zip(messages, errors, strict=True) if error is not None]


def columns(records: list[Message], positions: Positions) -> tuple[Fetch, int]:
    """The accepted records as columns, and of how many the headers are unreadable.

    Moves `positions` on.
    """
    count = len(records)
    partitions = np.fromiter(map(_partition, records), np.int64, count)
    slots = positions.slots(list(map(_topic, records)), partitions)
    offsets = np.fromiter(map(_offset, records), np.int64, count)
    accepted = positions.accept(slots, offsets)
    headers, unreadable = _all_headers(records)
    payload = (list(map(_key, records)), list(map(_value, records)), headers)
    fetch = Fetch.of(slots, offsets, _times(records), payload)
    if accepted is None:
        return fetch, unreadable
    return fetch.only(accepted), unreadable


def _times(records: list[Message]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int64]]:
    """(types, milliseconds); the type is nearly always the same for a whole fetch."""
    pairs = list(map(_timestamp, records))
    times = np.fromiter(map(_second, pairs), np.int64, len(pairs))
    kinds = set(map(_first, pairs))
    if len(kinds) == 1:
        return np.full(len(pairs), kinds.pop(), dtype=np.int8), times
    return np.fromiter(map(_first, pairs), np.int8, len(pairs)), times


def _all_headers(records: Sequence[Message]) -> tuple[list[Headers | None], int]:
    """Headers of all records. One whose name is no UTF-8 makes the client raise: those become null.

    The call must not be repeated for a record that raised: the client then hands out a broken
    tuple. So the map is continued behind it.
    """
    found: list[Headers | None] = []
    unreadable = 0
    rest = map(_headers, records)
    while len(found) < len(records):
        try:
            found.extend(rest)
        except (SystemError, UnicodeDecodeError):
            found.append(None)
            unreadable += 1
    return found, unreadable
