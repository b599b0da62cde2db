"""What an expression may be made of: a closed list, and everything else is refused.

The tree is that of DuckDB's `json_serialize_sql`. All that is listed depends on the values of its
own row only: no clock, no dice, no file, no setting, no other row. Pure.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

Node = dict[str, Any]


class ExpressionRefused(ValueError):
    """Why an expression is not run, in a sentence for its author."""


_FUNCTIONS = """
+ - * / // % ^ ** || ~~ !~~ ~~* !~~* ~~~ like_escape not_like_escape ilike_escape
not_ilike_escape

abs ceil ceiling exp floor greatest isfinite isinf isnan least ln log10 log2 mod pow power round
sign sqrt trunc

chr concat concat_ws contains ends_with instr lcase left length lower ltrim nfc_normalize position
prefix regexp_extract regexp_full_match regexp_matches regexp_replace replace reverse right rtrim
split_part starts_with strip_accents strlen strpos substr substring suffix translate trim ucase
upper

decode encode from_base64 hex to_base64 unhex

ifnull nullif

date_add date_diff date_part date_sub date_trunc datediff datepart datesub datetrunc day dayname
dayofmonth dayofweek dayofyear epoch epoch_ms epoch_us hour isodow isoyear last_day make_date
make_timestamp make_timestamptz minute month monthname quarter second strftime strptime time_bucket
timezone to_days to_hours to_microseconds to_milliseconds to_minutes to_months to_seconds
to_timestamp to_weeks to_years try_strptime week weekday weekofyear year yearweek
"""
FUNCTIONS = frozenset(_FUNCTIONS.split())
"""Operators, numbers, text, binary, null, dates and times. DuckDB itself calls each `CONSISTENT`.

Its functions on JSON are left out: they print a number through a double, so 1.50 becomes 1.5.
"""

_OPERATORS = frozenset(
    {
        "ARRAY_EXTRACT",
        "ARRAY_SLICE",
        "COMPARE_IN",
        "COMPARE_NOT_IN",
        "OPERATOR_COALESCE",
        "OPERATOR_IS_NOT_NULL",
        "OPERATOR_IS_NULL",
        "OPERATOR_NOT",
        "OPERATOR_TRY",
        "STRUCT_EXTRACT",
    }
)
_CLASSES = frozenset(
    {
        "BETWEEN",
        "CASE",
        "CAST",
        "COLUMN_REF",
        "COMPARISON",
        "CONJUNCTION",
        "CONSTANT",
        "FUNCTION",
        "OPERATOR",
    }
)
_TYPE_NAMES = (
    "BIGINT BLOB BOOLEAN DATE DECIMAL DOUBLE FLOAT HUGEINT INTEGER INTERVAL NULL SMALLINT "
    "TIMESTAMP TINYINT VARCHAR"
)
_TYPES = frozenset({*_TYPE_NAMES.split(), "TIMESTAMP WITH TIME ZONE"})
_CLOCK_NAMES = (
    "current_date current_time current_timestamp localtime localtimestamp current_user user "
    "session_user current_role current_schema current_catalog"
)
_CLOCKS = frozenset(_CLOCK_NAMES.split())
_MEANINGS = {
    "SUBQUERY": "a query inside an expression",
    "WINDOW": "a window over other rows",
    "STAR": "all columns at once",
    "LAMBDA": "a lambda",
    "PARAMETER": "a parameter",
    "COLLATE": "a collation",
}


def check_tree(tree: Node, columns: Sequence[str]) -> frozenset[str]:
    """The columns that an expression reads. Raises `ExpressionRefused` for what is not listed."""
    root = _the_expression(tree)
    known = {name.casefold(): name for name in columns}
    reads = set()
    for node in _nodes(root):
        _check(node)
        if node["class"] == "COLUMN_REF":
            reads.add(_column(node, known))
    return frozenset(reads)


def _the_expression(tree: Node) -> Node:
    """The one expression of `SELECT (...)`: a text that closes the bracket itself makes more."""
    statements = tree["statements"]
    select = statements[0]["node"] if len(statements) == 1 else {}
    expected: Node = {
        "type": "SELECT_NODE",
        "modifiers": [],
        "where_clause": None,
        "group_expressions": [],
        "group_sets": [],
        "having": None,
        "sample": None,
        "qualify": None,
        "cte_map": {"map": []},
    }
    plain = all(select.get(key) == value for key, value in expected.items())
    chosen = select.get("select_list", ())
    if not plain or len(chosen) != 1 or select["from_table"]["type"] != "EMPTY":
        raise ExpressionRefused("expected one expression, not a query")
    root: Node = chosen[0]
    return root


def _nodes(value: Any) -> Iterator[Node]:
    """Every part of the tree that is an expression, the outer ones first."""
    waiting = [value]
    while waiting:
        here = waiting.pop()
        if isinstance(here, list):
            waiting.extend(here)
        elif isinstance(here, dict):
            if "class" in here:
                yield here
            waiting.extend(here.values())


def _check(node: Node) -> None:
    kind = node["class"]
    if kind not in _CLASSES:
        raise ExpressionRefused(f"{_MEANINGS.get(kind, kind.lower())} cannot be used here")
    if kind == "FUNCTION":
        _check_function(node)
    elif kind == "OPERATOR" and node["type"] not in _OPERATORS:
        raise ExpressionRefused(f"the operator {node['type'].lower()} cannot be used here")
    elif kind == "CAST" and node["cast_type"]["id"] not in _TYPES:
        raise ExpressionRefused("cast to a type that a column can have, like DECIMAL(12,2)")


def _check_function(node: Node) -> None:
    name = node["function_name"].lower()
    if name not in FUNCTIONS or node["schema"] not in ("", "main") or node["catalog"]:
        near = difflib.get_close_matches(name, sorted(FUNCTIONS), n=1)
        hint = f"; did you mean {near[0]}" if near else ""
        raise ExpressionRefused(f"the function {name} is not one of those that may be used{hint}")
    if node["filter"] is not None or node["order_bys"]["orders"] or node["distinct"]:
        raise ExpressionRefused("an aggregate cannot be used here")


def _column(node: Node, known: dict[str, str]) -> str:
    path = node["column_names"]
    first = path[0].casefold()
    if first in _CLOCKS:
        raise ExpressionRefused(f"{first} cannot be used here; rename the column if it is one")
    if first not in known:
        near = difflib.get_close_matches(first, list(known), n=1)
        hint = (
            f"; did you mean {known[near[0]]}"
            if near
            else f"; there are {', '.join(known.values())}"
        )
        raise ExpressionRefused(
            f"there is no column {path[0]}{hint} (text is written in 'single quotes')"
        )
    return known[first]
