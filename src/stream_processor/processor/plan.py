"""What a batch needs to be judged, as two values: the rules (`Plan`) and the moment (`Stamp`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from stream_processor.errors import ConfigurationError
from stream_processor.processor.transform import Transform, make_transform
from stream_processor.schema.event import EventSchema
from stream_processor.schema.masks import Masks, parse_masks
from stream_processor.schema.steps import Step
from stream_processor.schema.table import (
    partition_problems,
    rescued_as_well,
    rescues,
    table_schema,
    with_dates,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """The rules of the pipeline file that the kernel knows; the names are those of the file.

    `app_version` and `engine` are written into dead letters. `decoder` says who takes JSON apart,
    which never changes what comes out.
    """

    pipeline_id: str
    unknown_fields: str = "rescue"
    coerce: str = "safe"
    tombstone: str = "dead_letter"
    max_record_bytes: int = 2**20
    max_depth: int = 128
    metadata: tuple[str, ...] = ()
    partition_by: tuple[str, ...] = ()
    preview_mask: tuple[str, ...] = ()
    app_version: str = ""
    engine: str = "embedded"
    decoder: str = "auto"
    transform: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Everything that judges an event. Made once per start by `make_plan`; never changes.

    A plan equals only itself, so what is compiled from it can be kept by it (`lru_cache`).
    `table` is the schema of `Processed.valid`; `masks` is what to hide in previews. `parsed` are
    the columns of a row before `transform`.
    """

    schema: EventSchema
    options: PlanOptions
    parsed: pa.Schema
    transform: Transform
    table: pa.Schema
    rescues: bool
    masks: Masks


def make_plan(schema: EventSchema, options: PlanOptions) -> Plan:
    """Called by whoever builds an engine. Raises `ConfigurationError` for a bad path or column."""
    parsed = table_schema(schema, options.metadata, options.unknown_fields)
    leaks = rescued_as_well(schema, options.unknown_fields)
    transform, problems = make_transform(options.transform, parsed, leaks)
    found = [f"transform[{each.step}]: {each.message}" for each in problems]
    if not problems:
        found += [
            f"partition_by[{index}]: {why}"
            for index, why in partition_problems(transform.output, options.partition_by)
        ]
    masks, wrong = parse_masks(options.preview_mask)
    found += [f"preview_mask {options.preview_mask[index]}: {why}" for index, why in wrong]
    if found:
        raise ConfigurationError("; ".join(found))
    return Plan(
        schema=schema,
        options=options,
        parsed=parsed,
        transform=transform,
        table=with_dates(transform.output, options.partition_by),
        rescues=rescues(schema, options.unknown_fields),
        masks=masks,
    )


@dataclass(frozen=True, slots=True)
class Stamp:
    """What is said of a batch from outside: its time, and which of its topics are in flood.

    The time is `_ingested_at` of its rows and `failed_at` of its dead letters. Of a topic in flood
    only a sample of the dead letters is described in full (`records.DEAD_LETTER`, detail_sampled).
    """

    epoch_microseconds: int
    flooded: frozenset[str] = frozenset()

    @classmethod
    def at(cls, epoch_seconds: float, flooded: frozenset[str] = frozenset()) -> Stamp:
        """From what `Clock.now` gives, and the breaker."""
        return cls(round(epoch_seconds * 1_000_000), flooded)

    @property
    def when(self) -> datetime:
        """The same instant as a datetime in UTC."""
        return _EPOCH + timedelta(microseconds=self.epoch_microseconds)
