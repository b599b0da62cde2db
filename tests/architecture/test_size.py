"""The limits of the house: short functions, small modules, few parameters."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "stream_processor"
MODULES = sorted(SOURCE.rglob("*.py"))
FUNCTION_LINES_MAX = 60
MODULE_LINES_MAX = 300
PARAMETERS_MAX = 6
VAGUE = {"utils", "common", "helpers", "base", "misc"}


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            yield node


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_can_be_read_in_one_go(path: Path) -> None:
    """When a limit hurts, split by meaning; a module that is too long has two of them."""
    assert path.stem not in VAGUE
    assert len(path.read_text().splitlines()) <= MODULE_LINES_MAX
    for function in functions(path):
        lines = (function.end_lineno or 0) - function.lineno + 1
        assert lines <= FUNCTION_LINES_MAX, f"{function.name}: {lines} lines"
        arguments = [
            a for a in (*function.args.posonlyargs, *function.args.args) if a.arg != "self"
        ]
        assert len(arguments) <= PARAMETERS_MAX, function.name


def test_most_functions_are_far_below_the_limit() -> None:
    """The libraries that we admire have nine of ten functions below 25 lines."""
    lengths = sorted(
        (function.end_lineno or 0) - function.lineno + 1
        for path in MODULES
        for function in functions(path)
    )
    assert lengths[int(len(lengths) * 0.9)] <= 25


@pytest.mark.parametrize("name", ["prepare", "settle", "run_cycle"])
def test_the_flow_is_read_at_a_glance(name: str) -> None:
    """The two functions that a newcomer reads first; if they grow, the design is wrong."""
    found = {f.name: f for f in functions(SOURCE / "runtime" / "embedded.py")}[name]
    assert (found.end_lineno or 0) - found.lineno + 1 <= 12


def test_every_public_name_is_importable() -> None:
    """`__all__` of the package is what it promises."""
    import stream_processor

    assert all(hasattr(stream_processor, name) for name in stream_processor.__all__)
