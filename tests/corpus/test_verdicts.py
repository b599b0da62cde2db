"""Every payload of the corpus gets its verdict, alone and among all the others.

`json_verdicts.jsonl`: the first line holds the schema, every other line a payload and the verdict
that every decoder and every engine must give.
"""

from __future__ import annotations

import base64
import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from tests import builders

_LINES = (Path(__file__).parent / "json_verdicts.jsonl").read_text(encoding="utf-8").splitlines()
HEAD = json.loads(_LINES[0])
_INSTANTS = ("at", "ms", "local")


class Case(NamedTuple):
    """A payload (None is a tombstone) and what must become of it."""

    name: str
    value: bytes | None
    expect: dict[str, Any]


def _case(line: str) -> Case:
    found = json.loads(line)
    encoded = found["value_base64"]
    value = None if encoded is None else base64.b64decode(encoded)
    return Case(found["name"], value, found["expect"])


CASES = [_case(line) for line in _LINES[1:]]

PLAN = builders.plan(
    HEAD["schema"]["fields"],
    coerce=HEAD["coerce"],
    unknown_fields=HEAD["unknown_fields"],
)


def expected_row(row: dict[str, Any]) -> dict[str, Any]:
    """The corpus' spelling of a row as the values that Arrow gives."""
    full: dict[str, Any] = {field.name: field.default for field in PLAN.schema.fields}
    full |= row
    for name in _INSTANTS:
        full[name] = full[name] and datetime.fromisoformat(full[name])
    full["price"] = full["price"] and Decimal(full["price"])
    full["day"] = full["day"] and date.fromisoformat(full["day"])
    full["bin"] = full["bin"] and base64.b64decode(full["bin"])
    return full


def kept_beside(text: str | None) -> dict[str, str] | None:
    if text is None:
        return None
    raw = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    return {key: bytes(value).decode() for key, value in raw.items()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_a_payload_gets_its_verdict(case: Case) -> None:
    """The verdicts are the contract between decoders, engines and versions."""
    done = builders.judge([case.value], PLAN)
    assert done.valid.num_rows + done.dead.num_rows == 1
    if "dead" in case.expect:
        (letter,) = done.dead.to_pylist()
        assert {key: letter[key] for key in case.expect["dead"]} == case.expect["dead"]
        return
    (row,) = done.valid.to_pylist()
    expected = expected_row(case.expect["row"])
    assert kept_beside(row["_rescued"]) == expected.pop("_rescued", None)
    assert {name: row[name] for name in expected} == expected
    assert {name: type(row[name]) for name in expected} == {
        name: type(value) for name, value in expected.items()
    }


def test_neighbours_do_not_change_a_verdict() -> None:
    """Whole columns are judged at once, so a bad neighbour could spoil a good row."""
    together = builders.judge([case.value for case in CASES], PLAN)
    dead = [index for index, case in enumerate(CASES) if "dead" in case.expect]
    assert together.dead.column("offset").to_pylist() == dead
    alone = [builders.judge([case.value], PLAN) for case in CASES if "row" in case.expect]
    names = [field.name for field in PLAN.schema.fields] + ["_rescued"]
    assert together.valid.select(names).to_pylist() == [
        one.valid.select(names).to_pylist()[0] for one in alone
    ]
