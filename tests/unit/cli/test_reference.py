"""The page of the command line says what the program can do, and no more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from stream_processor.cli.app import app
from stream_processor.cli.endings import EXIT_CODES

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "cli.md").read_text()


def verbs(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every verb with its full name; `config` is no verb, `config show` is."""
    for name, each in group.commands.items():
        if hasattr(each, "commands"):
            yield from verbs(each, f"{name} ")
        else:
            yield prefix + name, each


VERBS = dict(verbs(get_command(app)))


def section(title: str) -> str:
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert found, f"no section {title}"
    return found[1]


def test_the_page_has_exactly_the_verbs_of_the_program() -> None:
    """A verb that is missing is not found, and one too many is a lie."""
    titles = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    assert sorted(titles) == sorted(["Exit codes", *VERBS])


@pytest.mark.parametrize("verb", VERBS)
def test_a_section_has_exactly_the_flags_of_its_verb(verb: str) -> None:
    """Both directions: what the program takes, and what the page promises."""
    flags = {
        name
        for parameter in VERBS[verb].params
        for name in parameter.opts
        if name.startswith("-") and name not in ("-h", "--help")
    }
    cells = re.findall(r"^\| (`-.*?) \|", section(verb), re.MULTILINE)
    documented = {flag for cell in cells for flag in re.findall(r"`(--?[a-z-]+)", cell)}
    assert documented == flags


@pytest.mark.parametrize("verb", VERBS)
def test_a_section_names_the_variables_of_its_flags(verb: str) -> None:
    """A variable that acts without being documented is found only by reading the code."""
    used = {parameter.envvar for parameter in VERBS[verb].params if parameter.envvar}
    documented = set(re.findall(r"\| `(STREAM_PROCESSOR_[A-Z_]+)` \|", section(verb)))
    assert documented == used


def test_every_exit_code_is_explained() -> None:
    """Scripts and schedulers branch on them."""
    documented = re.findall(r"^\| (\d+) \|", section("Exit codes"), re.MULTILINE)
    assert [int(code) for code in documented] == list(EXIT_CODES)


def test_no_decision_can_be_made_by_a_variable() -> None:
    """It would be made again at every start, also for the loss that nobody has looked at yet."""
    for parameter in VERBS["run"].params:
        if parameter.name.startswith("accept") or parameter.name in ("reset", "adopt"):
            assert parameter.envvar is None, parameter.name
