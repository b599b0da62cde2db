"""Options that several verbs share, and what they leave behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import typer

_Quantity = TypeVar("_Quantity")


@dataclass(slots=True)
class Session:
    """What one command line was told apart from the verb's own arguments."""

    verbose: bool = False


def _remember(context: typer.Context, value: bool) -> bool:  # noqa: FBT001 - typer's way
    if value and isinstance(context.obj, Session):
        context.obj.verbose = True
    return value


Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        callback=_remember,
        help="Say more; show where in the code an unexpected error arose.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="PATH=VALUE",
        help="Replace one key of the pipeline file, like source.kafka.start=latest. Repeatable.",
    ),
]
PipelineFile = Annotated[
    Path | None,
    typer.Argument(metavar="PIPELINE", help="The pipeline file.", show_default="the built-in one"),
]


def overrides(given: list[str] | None) -> Mapping[str, str]:
    """`--set` as key and text; what is wrong with either is found by the loader."""
    pairs = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter("write it as PATH=VALUE", param_hint="--set")
        pairs[name.strip()] = value
    return pairs


def quantity(parse: Callable[[str], _Quantity], text: str, flag: str) -> _Quantity:
    """What `parse` makes of a flag's text, like `Size.parse`; its complaint names the flag."""
    try:
        return parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=flag) from error
