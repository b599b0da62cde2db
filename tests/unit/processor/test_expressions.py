"""An expression of the pipeline file computes on its row, and can do nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from stream_processor.processor.expression_tree import FUNCTIONS, ExpressionRefused
from stream_processor.processor.expressions import evaluate, parse, result_type

AT = datetime(2026, 3, 1, 23, 30, 0, 123456, tzinfo=UTC)
ROWS = pa.RecordBatch.from_pydict(
    {
        "amount": pa.array([Decimal("12.50"), None, Decimal("-0.01")], pa.decimal128(12, 2)),
        "quantity": pa.array([2, 3, 2**31 - 1], pa.int32()),
        "text": pa.array(["7", "x7", None], pa.string()),
        "at": pa.array([AT, None, AT], pa.timestamp("us", "UTC")),
        "ratio": pa.array([0.5, -0.0, None], pa.float64()),
        "_rescued": pa.array(['{"a":{"b":1.50}}', None, "{}"], pa.string()),
    }
)

HOSTILE = (
    "(SELECT content FROM read_text('/etc/passwd'))",
    "read_text('/etc/passwd')",
    "getenv('HOME')",
    "current_setting('temp_directory')",
    "getvariable('x')",
    "now()",
    "current_timestamp",
    "CURRENT_DATE",
    "current_user",
    "today()",
    "random()",
    "uuid()",
    "gen_random_uuid()",
    "nextval('s')",
    "hash(text)",
    "query('SELECT 1')",
    "query_table('x')",
    "amount IN (SELECT 1)",
    "EXISTS (FROM 'http://127.0.0.1:1/x.parquet')",
    "1) FROM read_text('/etc/passwd') --",
    "1) FROM read_csv('http://127.0.0.1:1/x') WHERE (true",
    "1); COPY (SELECT 1) TO '/tmp/x'; SELECT (1",
    "1); INSTALL httpfs; SELECT (1",
    "1); SET enable_external_access=true; SELECT (1",
    "1), (2",
    "1) LIMIT (1",
    "1) AS a, (2",
    "1) UNION ALL SELECT (2",
    "*",
    "COLUMNS(*)",
    "count(*)",
    "sum(quantity)",
    "list(quantity)",
    "row_number() OVER ()",
    "lag(quantity) OVER (ORDER BY quantity)",
    "max(quantity) FILTER (quantity > 1)",
    "list_transform([1], lambda x: x)",
    "unnest([1, 2])",
    "generate_series(1, 1000000000)",
    "repeat(text, 1000000000)",
    "lpad(text, 1000000000, 'x')",
    "error(text)",
    "_rescued->>'$.a.b'",
    "system.main.upper(text)",
    "pg_catalog.upper(text)",
    "text COLLATE de",
    "text::regclass",
    "text::JSON",
    "$1",
    "?",
    "#1",
    "rowid",
    "rows",
    "sleep_ms(1)",
    "pg_sleep(1)",
    "write_log(text)",
    "",
    "(",
    "text /*",
    "x" * 10_001,
)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_not_on_the_list_is_refused(text: str) -> None:
    """A pipeline file comes from many hands; no expression may reach a file, a clock or the net."""
    with pytest.raises(ExpressionRefused):
        parse(text, ROWS.schema.names)


def test_every_function_depends_on_its_arguments_alone() -> None:
    """DuckDB itself says which of its functions depend on a clock, dice, or the session."""
    found: dict[str, set[tuple[str | None, str]]] = {}
    for name, stability, kind in duckdb.sql(
        "SELECT function_name, stability, function_type FROM duckdb_functions()"
    ).fetchall():
        found.setdefault(name, set()).add((stability, kind))
    macros = {"date_add", "nullif", "split_part"}  # made of functions of the list
    rewritten = {"ifnull"}  # COALESCE, for the parser
    for name in FUNCTIONS - macros - rewritten:
        assert found[name] == {("CONSISTENT", "scalar")}, name


def test_the_engine_behind_it_has_its_doors_shut(tmp_path: Path) -> None:
    """Should the list ever miss something, there is a second wall."""
    from stream_processor.processor.expressions import _engine

    (tmp_path / "secret").write_text("secret")
    for statement in (
        f"SELECT * FROM read_text('{tmp_path}/secret')",
        f"COPY (SELECT 1) TO '{tmp_path}/out.csv'",
        f"ATTACH '{tmp_path}/x.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SELECT * FROM 'http://127.0.0.1:1/x.parquet'",
        "SET enable_external_access = true",
        "SET TimeZone = 'Europe/Berlin'",
        "SELECT * FROM tmp_path",
    ):
        with pytest.raises(duckdb.Error), _engine().cursor() as cursor:
            cursor.execute(statement).fetchall()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["secret"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("amount * quantity", [Decimal("25.00"), None, Decimal("-21474836.47")]),
        ("round(amount * 0.19, 2)", [Decimal("2.38"), None, Decimal("0.00")]),
        ("CAST(text AS VARCHAR) || '!'", ["7!", "x7!", None]),
        ("TRY_CAST(text AS INTEGER)", [7, None, None]),
        ("CASE WHEN text ~ '[0-9]+' THEN text::INT ELSE -1 END", [7, -1, -1]),
        ("date_trunc('day', \"at\")", [datetime(2026, 3, 1, tzinfo=UTC), None,
                                       datetime(2026, 3, 1, tzinfo=UTC)]),
        ("CAST(\"at\" AT TIME ZONE 'Europe/Berlin' AS DATE)::VARCHAR",
         ["2026-03-02", None, "2026-03-02"]),
        ('extract(hour FROM "at")', [23, None, 23]),
        ('"at" + INTERVAL 1 DAY > "at"', [True, None, True]),
        ("coalesce(text, 'none')", ["7", "x7", "none"]),
        ("quantity IN (2, 3) AND amount IS NOT NULL", [True, False, False]),
        ("quantity BETWEEN 1 AND 10", [True, True, False]),
        ("5 // 0", [None, None, None]),
        ("upper(TEXT)", ["7", "X7", None]),
    ],
)  # fmt: skip  # what is asked and what is said, beside each other
def test_values_are_exact(text: str, expected: list[object]) -> None:
    """Money and times must come out as a person would compute them."""
    expression = parse(text, ROWS.schema.names)
    ((values, lacking),) = evaluate([expression], ROWS)
    assert values.to_pylist() == expected
    assert lacking is None
    assert result_type(expression, ROWS.schema) == values.type


@pytest.mark.parametrize(
    ("text", "failing"),
    [
        ("CAST(text AS INTEGER)", [False, True, False]),
        ("quantity + quantity", [False, False, True]),
        ("CAST(amount AS DECIMAL(3,2))", [True, False, False]),
        ("sqrt(amount)", [False, False, True]),
        ("strptime(text, '%d')", [False, True, False]),
        ("regexp_matches('a', '(' || text)", [True, True, False]),
        ('"at" AT TIME ZONE text', [True, False, False]),
        ('date_part(text, "at")', [True, False, False]),
    ],
)  # fmt: skip  # as above
def test_a_row_without_a_value_costs_only_itself(text: str, failing: list[bool]) -> None:
    """One odd row must not take its whole batch with it."""
    ((values, lacking),) = evaluate([parse(text, ROWS.schema.names)], ROWS)
    assert (lacking.to_pylist() if lacking is not None else [False] * 3) == failing
    for place in range(3):
        ((alone, why),) = evaluate([parse(text, ROWS.schema.names)], ROWS.slice(place, 1))
        assert (why.to_pylist() if why is not None else [False]) == [failing[place]]
        assert alone.to_pylist() == values.slice(place, 1).to_pylist()
