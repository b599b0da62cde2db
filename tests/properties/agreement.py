"""Does the kernel say what the oracle says, about values, kept texts, codes and paths?"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa

from stream_processor.processor.excerpt import visible
from stream_processor.processor.plan import Plan
from tests import builders, oracle

Outcome = tuple[str, object]

_STAGES = {"encoding": "decode", "record": "decode", "json": "parse", "field": "validate"}


def kernel_says(values: Sequence[bytes | None], plan: Plan) -> list[Outcome]:
    """One outcome per value, in order."""
    done = builders.judge(values, plan)
    found: dict[int, Outcome] = {}
    for offset, row in zip(
        done.valid.column("_kafka_offset").to_pylist(), _rows(done.valid, plan), strict=True
    ):
        found[offset] = ("row", row)
    for letter in done.dead.to_pylist():
        problems = [(one["code"], one["field_path"]) for one in letter["problems"]]
        assert (letter["code"], letter["field_path"]) == problems[0]
        assert letter["value"] == values[letter["offset"]] or letter["value_truncated"]
        found[letter["offset"]] = ("dead", (letter["stage"], problems))
    assert len(found) == done.valid.num_rows + done.dead.num_rows == len(values)
    return [found[offset] for offset in range(len(values))]


def _rows(valid: pa.RecordBatch, plan: Plan) -> list[dict[str, str]]:
    names = [field.name for field in plan.schema.fields]
    columns = {}
    for name in names:
        column = valid.column(name)
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.int64())
        elif pa.types.is_date32(column.type):
            column = column.cast(pa.int32())
        columns[name] = [shown(value) for value in column.to_pylist()]
    kept = valid.column("_rescued").to_pylist() if plan.rescues else [None] * valid.num_rows
    rows = [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return [row | {"_rescued": repr(text)} for row, text in zip(rows, kept, strict=True)]


def shown(value: Any) -> str:
    """Strict equality as text: 1 is not 1.0 and not true; decimals count by their value."""
    return repr(Fraction(value) if isinstance(value, Decimal) else value)


def oracle_says(value: bytes | None, specs: Sequence[oracle.Spec], options: oracle.Spec) -> Outcome:
    verdict = oracle.judge(value, specs, options)
    if verdict.row is None:
        stage = _STAGES[verdict.problems[0][0].partition(".")[0]]
        shown_paths = [
            (code, visible(path.encode())[:200] if code == "field.unknown" and path else path)
            for code, path in verdict.problems
        ]
        return ("dead", (stage, shown_paths))
    decimals = {one["name"] for one in specs if one["type"].startswith("decimal")}
    row = {
        name: shown(Fraction(value) if name in decimals and value is not None else value)
        for name, value in verdict.row.items()
    }
    return ("row", row | {"_rescued": repr(verdict.rescued)})
