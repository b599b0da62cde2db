"""The columns that a row has on its way to the table: what the transform and `partition_by` say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stream_processor.config.findings import Finding
from stream_processor.config.model_keys import KeyPath
from stream_processor.config.pipeline import DeltaSink, Pipeline, SchemaConfig
from stream_processor.processor.transform import make_transform
from stream_processor.runtime.config_validation import add_finding, readable_section
from stream_processor.runtime.config_yaml import Document
from stream_processor.runtime.transform_steps import HookInvalid, beside, step_of
from stream_processor.schema.event import EventSchema
from stream_processor.schema.steps import Step
from stream_processor.schema.table import partition_problems, rescued_as_well, table_schema

_DELTA = ("sink", "delta")


def name_hooks(document: Document, folder: Path) -> None:
    """Write out which file the function of a step is in. Called by the loader before all checks."""
    steps = document.value.get("transform") if isinstance(document.value, dict) else None
    for step in steps if isinstance(steps, tuple) else ():
        if isinstance(step, dict) and isinstance(step.get("python"), str):
            step["python"] = beside(step["python"], folder)


def check_columns(document: Document, schema: EventSchema, origins: Mapping[KeyPath, str]) -> None:
    """Add what is wrong with steps and partitions at the place of each.

    Called by the loader once the schema file is known to be right. `origins` say where values with
    references came from.
    """
    sink = readable_section(document, _DELTA, DeltaSink, ("partition_by", "metadata"))
    root = readable_section(document, (), Pipeline, ("transform",))
    kept = readable_section(document, ("schema",), SchemaConfig, ("unknown_fields",))
    if sink is None or root is None or kept is None:
        return
    steps = _steps(document, root, origins)
    if steps is None:
        return
    columns = table_schema(schema, sink.metadata, kept.unknown_fields)
    leaks = rescued_as_well(schema, kept.unknown_fields)
    transform, problems = make_transform(steps, columns, leaks)
    for problem in problems:
        path = ("transform", problem.step, *problem.keys)
        add_finding(document, (), Finding(path, problem.message))
    if len(transform.steps) == len(steps):
        for index, message in partition_problems(transform.output, sink.partition_by):
            add_finding(document, _DELTA, Finding(("partition_by", index), message))


def _steps(document: Document, root: Pipeline, origins: Mapping[KeyPath, str]) -> list[Step] | None:
    """The steps, or None when one of them is none."""
    steps: list[Step] = []
    for index, step in enumerate(root.transform):
        path = ("transform", index)
        if len(step.verbs) != 1:
            return None  # a rule of its own says so
        key = (*path, "key")
        if step.key is not None and not origins.get(key, "").startswith("file "):
            hint = "write ${file:/run/secrets/mask_key}"
            add_finding(document, (), Finding(key, "the key must come from a file", hint))
        try:
            steps.append(step_of(step))
        except HookInvalid as error:
            add_finding(document, (), Finding((*path, "python"), error.message))
            return None
    return steps
