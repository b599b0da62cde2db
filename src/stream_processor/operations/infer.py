"""`infer`: drafts a schema file from events of a topic, lines of a file, or a Delta table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow as pa

from stream_processor.config.fields import SchemaFile
from stream_processor.errors import ConfigurationError
from stream_processor.operations.infer_sources import Sample, TableSample
from stream_processor.operations.try_payloads import Event, plan_of_schema, raw_batch
from stream_processor.processor.kernel import process
from stream_processor.processor.plan import Stamp
from stream_processor.schema import records
from stream_processor.schema.drafting import Named, named, schema_text, settings_of
from stream_processor.schema.evolution import type_words
from stream_processor.schema.inference import Draft, draft
from stream_processor.schema.observation import Seen, observe
from stream_processor.schema.types import parse_type

FIELDS_MAX = 200
"""A lightweight schema names what matters; more keys than this stay in `_rescued`."""

_MENDS_MAX = 5
_OWN = (records.INGESTED_AT, records.RESCUED)


@dataclass(frozen=True, slots=True)
class FieldReport:
    """One line for a person. `present` and `null` are shares of the records, 0 to 1."""

    field: str
    type: str
    present: float | None
    null: float | None
    notes: tuple[str, ...]
    todos: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inferred:
    """A drafted schema file, and what it was drafted from.

    `rows` of `records` are rows by the draft; the others (`undecodable`) no schema would take.
    """

    source: str
    records: int
    undecodable: int
    rows: int
    fields: tuple[FieldReport, ...]
    left_out: tuple[str, ...]
    text: str

    @property
    def todos(self) -> int:
        """How many lines of the file wait for a person."""
        return sum(len(each.todos) for each in self.fields)

    def as_json(self) -> dict[str, Any]:
        """For `infer --json`."""
        return asdict(self)


def infer_events(sample: Sample) -> Inferred:
    """Draft from events. Called by the CLI. Raises `ConfigurationError` where none is an object.

    The draft is put to the proof: what of the sample it would not take, it takes after a second
    look (`on_error: rescue`), so a first run on such events makes no dead letter of a guess.
    """
    seen, read, others = observe(sample.values)
    if not read:
        raise ConfigurationError(
            f"{sample.source} has no JSON object among {others:,} records",
            hint="a schema is drafted from events that are JSON objects, one for each record",
        )
    drafts = [draft(key, found, read) for key, found in seen.items()]
    most = sorted(drafts, key=lambda one: -seen[one.key].present)[:FIELDS_MAX]
    kept, lost = named([one for one in drafts if one in most])
    lost += [one.key for one in drafts if one not in most]
    if not kept:
        raise ConfigurationError(f"{sample.source} has no key that a path of a schema can name")
    kept, rows = _proved(kept, [value for value in sample.values if value is not None])
    return Inferred(
        source=sample.source,
        records=read + others,
        undecodable=others,
        rows=rows,
        fields=tuple(_report(each, seen[each.draft.key], read) for each in kept),
        left_out=tuple(lost),
        text=schema_text(sample.name, kept, _heading(sample.source, read + others, lost)),
    )


def infer_table(sample: TableSample) -> Inferred:
    """Draft from the columns of a table; our own columns are no fields. Raises as above."""
    drafts, lost = [], []
    for column in sample.schema:
        if column.name.startswith("_kafka_") or column.name in _OWN:
            continue
        words = type_words(column.type)
        try:
            parse_type(words)
        except ValueError:
            lost.append(f"{column.name} ({words})")
            continue
        drafts.append(_of_column(column.name, words, sample))
    kept, unreachable = named(drafts)
    if not kept:
        raise ConfigurationError(f"{sample.source} has no column that a schema file can name")
    lost += unreachable
    reports = tuple(
        FieldReport(
            each.name,
            each.draft.type,
            None,
            sample.null_share(each.draft.key),
            each.draft.notes,
            each.draft.todos,
        )
        for each in kept
    )
    return Inferred(
        source=sample.source,
        records=sample.rows,
        undecodable=0,
        rows=sample.rows,
        fields=reports,
        left_out=tuple(lost),
        text=schema_text(sample.name, kept, _heading(sample.source, sample.rows, lost)),
    )


def _of_column(name: str, words: str, sample: TableSample) -> Draft:
    todos: tuple[str, ...] = ()
    if words == "timestamp":
        todos = ("how do events write it? without `formats` as RFC 3339",)
    null = sample.null_share(name)
    notes = ("never null -> could be required",) if null == 0 else ()
    return Draft(name, words, notes=notes, todos=todos)


def _proved(kept: Sequence[Named], values: Sequence[bytes]) -> tuple[list[Named], int]:
    """The drafts, mended until no guess of ours costs a record; and how many become rows."""
    batch = raw_batch([Event(value) for value in values], 0)
    fields = list(kept)
    rows = 0
    for _ in range(_MENDS_MAX):
        schema = {"version": 1, "name": "draft", "fields": [settings_of(one) for one in fields]}
        plan = plan_of_schema(SchemaFile.model_validate(schema))
        done = process(batch, plan, Stamp.at(0.0))
        rows = done.valid.num_rows
        wrong = _failing(done.dead)
        if not wrong:
            break
        fields = [_mended(each, wrong) for each in fields]
    return fields, rows


def _failing(dead: pa.RecordBatch) -> Counter[str]:
    """How many values of each path failed a rule of the draft."""
    failing: Counter[str] = Counter()
    for letter in dead.select(["stage", "problems"]).to_pylist():
        if letter["stage"] == "validate":
            for problem in letter["problems"] or ():
                failing[str(problem["field_path"])] += 1
    return failing


def _mended(each: Named, wrong: Counter[str]) -> Named:
    count = wrong[each.draft.key]
    if not count:
        return each
    if each.draft.on_error == "rescue":
        return replace(each, draft=replace(each.draft, required=False))
    todo = f"{count:,} values are no {each.draft.type}: they cost the field, not the row"
    mended = replace(each.draft, on_error="rescue", todos=(*each.draft.todos, todo))
    return replace(each, draft=mended)


def _report(each: Named, seen: Seen, read: int) -> FieldReport:
    return FieldReport(
        each.name,
        each.draft.type,
        seen.present / read,
        seen.null / read,
        each.draft.notes,
        each.draft.todos,
    )


def _heading(source: str, count: int, lost: Sequence[str]) -> list[str]:
    lines = [f"Drafted from {count:,} records: {source}. A guess: keep what matters."]
    if lost:
        lines.append(f"Left out, kept in _rescued: {', '.join(lost)}")
    return lines
