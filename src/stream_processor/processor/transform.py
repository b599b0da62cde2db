"""The steps of a transform, made ready for the columns that they meet, and run on valid rows. Pure.

What a batch becomes is what its rows become one by one: no step of ours looks at a neighbour.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from stream_processor.processor.rejection import Problem, Rejection
from stream_processor.processor.transform_columns import make_drop, make_mask, make_rename
from stream_processor.processor.transform_hook import make_hook, no_rows
from stream_processor.processor.transform_step import Indexes, Keys, Ready, StepInvalid
from stream_processor.schema import records
from stream_processor.schema.steps import Drop, Filter, Hook, Mask, Rename, Step

CODE = "transform.failed"


class StepProblem(NamedTuple):
    """What is wrong with a step: the index, the keys below it, and a sentence for its author."""

    step: int
    keys: Keys
    message: str


class Transformed(NamedTuple):
    """What became of rows: `places` are those of the rows that are left, by their old indexes.

    Every old index is in exactly one of `places`, `failed` and `filtered`.
    """

    rows: pa.RecordBatch
    places: Indexes
    failed: dict[int, Rejection]
    filtered: list[int]


@dataclass(frozen=True, slots=True)
class Transform:
    """All steps, ready to run; `output` are the columns behind the last one.

    `rules` is what a commit says of them: one hash of them all, and that of each function's source.
    """

    steps: tuple[Ready, ...]
    output: pa.Schema
    rules: Mapping[str, str] = field(default_factory=dict)

    def run(self, rows: pa.RecordBatch) -> Transformed:
        """Called by the kernel, once per slice."""
        places = np.arange(rows.num_rows)
        failed: dict[int, Rejection] = {}
        filtered: list[int] = []
        for number, step in enumerate(self.steps, 1):
            if not len(places):
                break
            done = step.run(rows)
            failed |= {int(places[at]): _rejection(number, why) for at, why in done.failed.items()}
            gone = np.ones(len(places), np.bool_)
            gone[done.kept] = False
            gone[list(done.failed)] = False
            filtered += places[gone].tolist()
            rows, places = done.rows, places[done.kept]
        rest = rows if len(places) else no_rows(self.output)
        return Transformed(rest, places, failed, filtered)


def make_transform(
    steps: Sequence[Step], columns: pa.Schema, leaks: Sequence[str] = ()
) -> tuple[Transform, list[StepProblem]]:
    """Make the steps ready, one behind the other, for rows of these columns.

    Called by the loader, which knows the places of the steps, and by `make_plan`. It stops at the
    first step that cannot work, since the columns behind it are not known. `leaks` are columns
    whose values may stand in `_rescued` too.
    """
    ready: list[Ready] = []
    for index, step in enumerate(steps):
        try:
            made = _ready(step, columns)
        except StepInvalid as error:
            return Transform(tuple(ready), columns), [
                StepProblem(index, keys, why) for keys, why in error.problems
            ]
        columns = made.output
        ready.append(made)
    found = list(_leaking(steps, leaks)) if records.RESCUED in columns.names else []
    return Transform(tuple(ready), columns, _rules(steps)), found


def _rules(steps: Sequence[Step]) -> dict[str, str]:
    if not steps:
        return {}
    hooks = {f"python {s.name}": s.fingerprint for s in steps if isinstance(s, Hook)}
    return {"transform": hashlib.sha256(repr(steps).encode()).hexdigest(), **hooks}


def _ready(step: Step, columns: pa.Schema) -> Ready:
    if isinstance(step, Rename):
        return make_rename(step, columns)
    if isinstance(step, Drop):
        return make_drop(step, columns)
    if isinstance(step, Mask):
        return make_mask(step, columns)
    if isinstance(step, Hook):
        return make_hook(step, columns)
    try:
        # Here, since a pipeline without expressions needs no DuckDB.
        from stream_processor.processor import transform_expressions  # noqa: PLC0415
    except ImportError as error:
        why = "expressions need DuckDB: pip install 'stream-processor[sql]'"
        raise StepInvalid([((), why)]) from error
    if isinstance(step, Filter):
        return transform_expressions.make_filter(step, columns)
    return transform_expressions.make_derive(step, columns)


def _leaking(steps: Sequence[Step], leaks: Sequence[str]) -> Iterator[StepProblem]:
    """A mask is worth nothing where the same value stands beside it in `_rescued`."""
    masks = [(index, step) for index, step in enumerate(steps) if isinstance(step, Mask)]
    if any((records.RESCUED, "redact") in step.columns for _, step in masks):
        return
    names = {name: name for name in leaks}  # what each is called by now
    for index, step in enumerate(steps):
        if isinstance(step, Rename):
            renamed = dict(step.names)
            names = {renamed.get(now, now): old for now, old in names.items()}
        if isinstance(step, Mask):
            for name in (name for name, _ in step.columns if name in names):
                why = (
                    f"{name} may stand in {records.RESCUED} too, as it came: drop or redact "
                    f"{records.RESCUED} as well"
                )
                yield StepProblem(index, ("mask", name), why)


def _rejection(number: int, parts: tuple[str, ...]) -> Rejection:
    problems = [Problem(CODE, None, part, None) for part in parts]
    sentence = f"step {number} of transform has no value for this event: {parts[0]}"
    return Rejection(problems[0], sentence, sentence, lambda: problems[1:])
