"""`schema diff`: what the next start would do to the table, or why it would refuse it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import pyarrow as pa

from stream_processor.config.fields import SchemaFile
from stream_processor.config.pipeline import Pipeline
from stream_processor.errors import TableRefused
from stream_processor.operations.assemble import data_table, plan_of
from stream_processor.schema.evolution import changes
from stream_processor.sinks.delta_create import complaints, is_empty, load, owner, ownerless
from stream_processor.sinks.delta_rules import rules_of

Verdict = Literal["compatible", "breaking"]

_DEMAND = "; it is required, so events without it become dead letters"


@dataclass(frozen=True, slots=True)
class Difference:
    """One line of the diff. `column` is None where it is about the table as a whole."""

    verdict: Verdict
    kind: str
    column: str | None
    text: str
    hint: str


@dataclass(frozen=True, slots=True)
class SchemaDiff:
    """The table against the files. `version` is None where there is no table yet."""

    pipeline: str
    table: str
    version: int | None
    columns: int
    differences: tuple[Difference, ...]

    @property
    def breaking(self) -> bool:
        """Whether a run would refuse the table."""
        return any(each.verdict == "breaking" for each in self.differences)

    @property
    def verdict(self) -> Verdict:
        """One word for all of it."""
        return "breaking" if self.breaking else "compatible"

    def as_json(self) -> dict[str, Any]:
        """For `schema diff --json`."""
        return asdict(self) | {"verdict": self.verdict}


def schema_diff(pipeline: Pipeline, schema_file: SchemaFile) -> SchemaDiff:
    """Compare the files with the data table as it is. Reads one log and writes nothing.

    Called by the CLI. Raises `ConfigurationError` for files that do not compile, `Unavailable`.
    """
    plan = plan_of(pipeline, schema_file)
    spec = data_table(pipeline, plan)
    table = load(spec)
    if table is None:
        return SchemaDiff(pipeline.pipeline_id, spec.uri, None, len(plan.table), ())
    found = [Difference("breaking", "table", None, *why) for why in complaints(spec, table)]
    if owner(table) is None and not is_empty(table):
        refusal = ownerless(spec)
        found.append(Difference("breaking", "table", None, "belongs to no pipeline", refusal.hint))
    try:
        rules_of(spec.uri, table)
    except TableRefused as refusal:
        text = refusal.message.removeprefix(f"{spec.uri} ")
        found.append(Difference("breaking", "table", None, text, refusal.hint))
    required = {field.name for field in plan.schema.fields if field.required}
    for change in changes(pa.schema(table.schema().to_arrow()), plan.table):
        demand = _DEMAND if change.kind == "added" and change.column in required else ""
        found.append(
            Difference(
                "breaking" if change.breaking else "compatible",
                change.kind,
                change.column,
                change.complaint,
                change.hint + demand,
            )
        )
    return SchemaDiff(
        pipeline.pipeline_id, spec.uri, int(table.version()), len(plan.table), tuple(found)
    )
