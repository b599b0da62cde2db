"""Which dead letters a person means: the selector that all verbs of `dlq` share. Pure.

A selector becomes typed expressions over columns; nothing that a person or a record wrote ever
becomes the text of a query.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from stream_processor.errors import ConfigurationError
from stream_processor.schema.text_column import text_column
from stream_processor.schema.types import TIMESTAMP

ID_DIGITS_MIN = 4
_ID = re.compile(rf"[0-9a-f]{{{ID_DIGITS_MIN},32}}")
_PLACE = re.compile(r"([A-Za-z0-9._-]+)\[([0-9]+)\]@([0-9]+)")  # as events are shown everywhere

STATUSES = ("open", "replayed", "ignored", "purged", "erased")
"""What can be the case with a dead letter: its newest action, `open` where there is none."""


@dataclass(frozen=True, slots=True)
class Selector:
    """Dead letters by what they are; every part that is given must hold.

    `ids` are record ids (`dlq_id`) or group ids (`fingerprint`), whole or their first digits; one
    of them must hold. `since` is inclusive, `until` exclusive, both of `failed_at`. `offsets` are
    the first and the last offset. `status` is one of `STATUSES`; None means any.
    """

    ids: tuple[str, ...] = ()
    stage: str | None = None
    code: str | None = None
    field: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    topic: str | None = None
    partition: int | None = None
    offsets: tuple[int, int] | None = None
    status: str | None = None

    def __post_init__(self) -> None:
        """Raise `ConfigurationError` for what can never be an id or a status."""
        for text in self.ids:
            if not _ID.fullmatch(text):
                raise ConfigurationError(
                    f"{text!r} is no id of a dead letter or of a group", hint=_what_ids_are(text)
                )
        if self.status not in (None, *STATUSES):
            raise ConfigurationError(
                f"there is no status {self.status!r}", hint=f"use one of {', '.join(STATUSES)}"
            )

    def expression(self) -> pc.Expression | None:
        """The rows of the dead letter table that are meant, whatever their status; None for all.

        Bounds of time also name the partition column, so that other days are not opened.
        """
        parts = [
            text_column(column) == pa.scalar(value)
            for column, value in (
                ("stage", self.stage),
                ("code", self.code),
                ("field_path", self.field),
                ("topic", self.topic),
            )
            if value is not None
        ]
        if self.ids:
            parts.append(_any_of([_begins(text) for text in self.ids]))
        if self.partition is not None:
            parts.append(pc.field("partition") == pa.scalar(self.partition, pa.int32()))
        if self.offsets is not None:
            first, last = (pa.scalar(offset, pa.int64()) for offset in self.offsets)
            parts.append((pc.field("offset") >= first) & (pc.field("offset") <= last))
        if self.since is not None:
            parts.append(pc.field("failed_date") >= pa.scalar(self.since.date(), pa.date32()))
            parts.append(pc.field("failed_at") >= pa.scalar(self.since, TIMESTAMP))
        if self.until is not None:
            parts.append(pc.field("failed_date") <= pa.scalar(self.until.date(), pa.date32()))
            parts.append(pc.field("failed_at") < pa.scalar(self.until, TIMESTAMP))
        return _all_of(parts) if parts else None


def _what_ids_are(text: str) -> str:
    if place := _PLACE.fullmatch(text):
        topic, partition, offset = place.groups()
        return (
            f"an event is chosen by its place with --topic {topic} --partition {partition} "
            f"--offsets {offset}"
        )
    return (
        f"ids have {ID_DIGITS_MIN} to 32 of the digits 0-9 and a-f; "
        "`dlq list` shows those of groups, `dlq list --records` those of records"
    )


def _begins(text: str) -> pc.Expression:
    return pc.starts_with(text_column("dlq_id"), text) | pc.starts_with(
        text_column("fingerprint"), text
    )


def _all_of(parts: list[pc.Expression]) -> pc.Expression:
    first, *rest = parts
    for part in rest:
        first = first & part
    return first


def _any_of(parts: list[pc.Expression]) -> pc.Expression:
    first, *rest = parts
    for part in rest:
        first = first | part
    return first
