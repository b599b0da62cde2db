"""A table's own NOT NULL and CHECK cost single rows, as the library that writes would judge."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError

from stream_processor.config.pipeline import StorageConfig
from stream_processor.errors import TableRefused
from stream_processor.ports import Decisions
from stream_processor.runtime.object_store import open_store
from stream_processor.schema import records
from stream_processor.schema.table_rules import Broken
from stream_processor.sinks.dead_letters import DeltaDeadLetters
from stream_processor.sinks.delta_create import TableSpec
from stream_processor.sinks.delta_rules import rules_of
from stream_processor.sinks.delta_table import FencedTable

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("n", pa.int64()),
        pa.field("price", pa.decimal128(12, 2)),
        pa.field("at", pa.timestamp("us", "UTC")),
        pa.field("Mixed Case", pa.string()),
        pa.field("tags", pa.list_(pa.string())),
    ]
)
CHECKS = {
    "positive": "n > 0",
    "cheap": "price < 100",
    "late": "at > '2020-01-01'",
    "known": "`Mixed Case` IN ('a', 'b') OR `Mixed Case` IS NULL",
}
GOOD: dict[str, Any] = {
    "id": "x",
    "n": 1,
    "price": Decimal("1.50"),
    "at": datetime(2024, 1, 1, tzinfo=UTC),
    "Mixed Case": "a",
    "tags": None,
}
CASES: list[dict[str, Any]] = [
    {},
    {"n": 0},
    {"n": None},
    {"price": Decimal("99999999.00")},  # the library misreads where the point of 100 is
    {"at": datetime(2019, 1, 1, tzinfo=UTC)},
    {"at": None},
    {"Mixed Case": "c"},
    {"Mixed Case": None},
    {"Mixed Case": "it's (a) --'; "},
    {"tags": ["a"]},
]


def table(folder: Path, checks: dict[str, str], schema: pa.Schema = SCHEMA) -> DeltaTable:
    made = DeltaTable.create(str(folder), schema=schema)
    for name, expression in checks.items():
        made.alter.add_constraint({name: expression})
    return DeltaTable(str(folder))


def rows_of(*changes: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist([GOOD | change for change in changes], schema=SCHEMA)


def test_it_says_of_each_row_what_the_library_would_say_of_the_whole_write(
    tmp_path: Path,
) -> None:
    """A row that we let through would stop every batch; one that we stop, the table would take."""
    made = table(tmp_path / "t", CHECKS)
    broken = rules_of("t", made).broken(rows_of(*CASES))
    for place, change in enumerate(CASES):
        try:
            write_deltalake(DeltaTable(str(tmp_path / "t")), rows_of(change), mode="append")
            taken = True
        except DeltaError:
            taken = False
        assert taken == (place not in broken), change
    assert {place: found.name for place, found in broken.items()} == {
        1: "positive",
        2: "positive",
        3: "cheap",
        4: "late",
        5: "late",
        6: "known",
        8: "known",
    }


def test_not_null_names_its_column(tmp_path: Path) -> None:
    """The person on call looks for a column, not for a rule."""
    rules = rules_of("t", table(tmp_path / "t", {}))
    nullable = pa.schema([each.with_nullable(True) for each in SCHEMA])  # noqa: FBT003 - Arrow's own
    rows = pa.Table.from_pylist([GOOD, GOOD | {"id": None}], schema=nullable)
    assert rules.broken(rows) == {1: Broken("id", "id", "NOT NULL")}


def test_a_table_without_rules_is_asked_nothing(tmp_path: Path) -> None:
    """Nearly all tables; they must not pay for the others."""
    schema = pa.schema([each.with_nullable(True) for each in SCHEMA])  # noqa: FBT003 - Arrow's own
    assert not rules_of("t", table(tmp_path / "t", {}, schema))


def test_the_older_form_of_a_check_counts_too(tmp_path: Path) -> None:
    """Invariants stand in the metadata of a column, where hardly anybody looks."""
    metadata = {"delta.invariants": '{"expression": {"expression": "n > 5"}}'}
    schema = pa.schema([pa.field("n", pa.int64(), metadata=metadata)])
    rules = rules_of("t", table(tmp_path / "t", {}, schema))
    found = rules.broken(pa.table({"n": pa.array([3, 7], pa.int64())}))
    assert found == {0: Broken(None, "invariant of n", "n > 5")}


def test_evidence_with_rules_of_its_own_is_refused(tmp_path: Path) -> None:
    """A dead letter that its table refuses would be lost or stop everything."""
    folder = tmp_path / "t"
    made = DeltaTable.create(str(folder), schema=records.DEAD_LETTER, partition_by=["failed_date"])
    made.alter.add_constraint({"some": "code <> 'x'"})
    spec = TableSpec(str(folder), records.DEAD_LETTER, "pipe", ("failed_date",))
    store = open_store(spec.uri, StorageConfig())
    fenced = FencedTable(spec, store, name="dead_letters", decisions=Decisions())
    with pytest.raises(TableRefused, match="rule of its own"):
        DeltaDeadLetters(fenced).remembered()
