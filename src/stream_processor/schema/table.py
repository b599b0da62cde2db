"""The Arrow schema of the data table (records.md, 5)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

import pyarrow as pa

from stream_processor.schema import records
from stream_processor.schema.event import EventSchema
from stream_processor.schema.types import TIMESTAMP

_DATE_OF = re.compile(r"date\( *(\w+) *\)")
_PARTITIONABLE = ("string", "int32", "int64", "bool", "date32[day]")


def table_schema(
    schema: EventSchema,
    metadata: Collection[str] = (),
    unknown_fields: str = "rescue",
    partition_by: Sequence[str] = (),
) -> pa.Schema:
    """All columns of a data row in order; every one is nullable.

    Called by `make_plan` and by whoever creates the table. A description of the schema file is
    the field's metadata `comment`. `partition_by` must be free of `partition_problems`.
    """
    fields = [_column(schema, index) for index in range(len(schema.fields))]
    fields += [
        pa.field(records.KAFKA_TOPIC, pa.string()),
        pa.field(records.KAFKA_TOPIC_ID, pa.string()),
        pa.field(records.KAFKA_PARTITION, pa.int32()),
        pa.field(records.KAFKA_OFFSET, pa.int64()),
        pa.field(records.KAFKA_TIMESTAMP, TIMESTAMP),
    ]
    if "key" in metadata:
        fields.append(pa.field(records.KAFKA_KEY, pa.binary()))
    if "headers" in metadata:
        fields.append(pa.field(records.KAFKA_HEADERS, records.HEADERS))
    fields.append(pa.field(records.INGESTED_AT, TIMESTAMP))
    if rescues(schema, unknown_fields):
        fields.append(pa.field(records.RESCUED, pa.string()))
    return with_dates(pa.schema(fields), partition_by)


def with_dates(columns: pa.Schema, partition_by: Sequence[str]) -> pa.Schema:
    """The columns, and behind them those that `date(...)` adds."""
    dates = [pa.field(date_column(name), pa.date32()) for name in date_sources(partition_by)]
    return pa.schema([*columns, *dates])


def _column(schema: EventSchema, index: int) -> pa.Field:
    field = schema.fields[index]
    comment = {"comment": field.description} if field.description else None
    return pa.field(field.name, field.type.arrow, metadata=comment)


def rescues(schema: EventSchema, unknown_fields: str) -> bool:
    """Whether the table has the column `_rescued`."""
    return unknown_fields == "rescue" or any(one.on_error == "rescue" for one in schema.fields)


def rescued_as_well(schema: EventSchema, unknown_fields: str) -> list[str]:
    """Columns whose values may stand in `_rescued` too: read of a part of a key, or failed."""
    return [
        field.name
        for field in schema.fields
        if field.on_error == "rescue" or (unknown_fields == "rescue" and len(field.path) > 1)
    ]


def date_sources(partition_by: Sequence[str]) -> list[str]:
    """The timestamp columns whose date the table is partitioned by, once each, in order."""
    matches = (_DATE_OF.fullmatch(entry) for entry in partition_by)
    return list(dict.fromkeys(match[1] for match in matches if match))


def date_column(source: str) -> str:
    """The name of the column that holds the date of a timestamp column."""
    return f"{source}_date"


def partition_columns(partition_by: Sequence[str]) -> list[str]:
    """The names of the partition columns: `date(created_at)` is `created_at_date`."""
    matches = ((entry, _DATE_OF.fullmatch(entry)) for entry in partition_by)
    return [date_column(match[1]) if match else entry for entry, match in matches]


def partition_problems(table: pa.Schema, partition_by: Sequence[str]) -> list[tuple[int, str]]:
    """What is wrong with `partition_by`: (index of the entry, sentence). Empty when all is well.

    `table` are the columns of a row without the dates.
    """
    columns = {field.name: field.type for field in table}
    folded = {name.casefold() for name in columns}
    found: list[tuple[int, str]] = []
    for index, entry in enumerate(partition_by):
        if entry in partition_by[:index]:
            found.append((index, "stands twice"))
        found.extend((index, why) for why in _entry_problems(entry, columns, folded))
    return found


def _entry_problems(entry: str, columns: dict[str, pa.DataType], folded: set[str]) -> Iterator[str]:
    match = _DATE_OF.fullmatch(entry)
    name = match[1] if match else entry
    if name not in columns:
        yield f"there is no column {name}"
    elif match and not pa.types.is_timestamp(columns[name]):
        yield f"date({name}) needs a timestamp column, {name} is {columns[name]}"
    elif match and date_column(name).casefold() in folded:
        yield f"date({name}) needs the name {date_column(name)}, which is a column of the schema"
    elif not match and str(columns[name]) not in _PARTITIONABLE:
        hint = f"; use date({name})" if pa.types.is_timestamp(columns[name]) else ""
        yield f"{name} is {columns[name]}, which is no type to partition by{hint}"
