"""The options by which every verb of `dlq` is told which dead letters are meant."""

from __future__ import annotations

import functools
import inspect
import re
import typing
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

if TYPE_CHECKING:
    from stream_processor.operations.dlq.selection import Selector

PipelineOption = Annotated[
    Path | None,
    typer.Option("--pipeline", "-p", help="The pipeline file.", show_default="the built-in one"),
]
_Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="ID", help="Records or groups, whole ids or their first digits."),
]
_Text = str | None
_Code = TypeVar("_Code")
_Status = Literal["open", "replayed", "ignored", "purged", "erased", "any"]
_OFFSETS = re.compile(r"([0-9]{1,19})(?:-([0-9]{1,19}))?")


def selecting(status: _Status) -> Callable[[Callable[..., _Code]], Callable[..., _Code]]:
    """Give a verb all options of a selector; it is called with what they say as `selector`.

    `status` is the default of `--status`. The verb names its own options by keyword.
    """

    def decorate(verb: Callable[..., _Code]) -> Callable[..., _Code]:
        options = {
            **_parameters(_options),
            "status": _parameters(_options)["status"].replace(default=status),
        }
        own = {name: each for name, each in _parameters(verb).items() if name != "selector"}

        @functools.wraps(verb)
        def command(**given: Any) -> _Code:
            chosen = {name: given.pop(name) for name in options}
            return verb(selector=_options(**chosen), **given)

        # What typer reads: the options of both, with annotations that are no text any more.
        both = [*options.values(), *own.values()]
        command.__signature__ = inspect.Signature(both)  # type: ignore[attr-defined]  # inspect's own hook
        command.__annotations__ = {each.name: each.annotation for each in both}
        return command

    return decorate


def _options(
    *,
    ids: _Ids = None,
    stage: Annotated[
        _Text, typer.Option(help="decode, parse, validate, transform, write or process.")
    ] = None,
    code: Annotated[_Text, typer.Option(help="A code, like field.type.")] = None,
    field: Annotated[_Text, typer.Option(help="The path of the field that failed.")] = None,
    since: Annotated[
        _Text,
        typer.Option(metavar="WHEN", help="Failed then or later: a time, a date, or 2h, 30d ago."),
    ] = None,
    until: Annotated[_Text, typer.Option(metavar="WHEN", help="Failed before then.")] = None,
    topic: Annotated[_Text, typer.Option(help="The Kafka topic.")] = None,
    partition: Annotated[int | None, typer.Option(min=0, help="The Kafka partition.")] = None,
    offsets: Annotated[
        _Text, typer.Option(metavar="A-B", help="Kafka offsets, the first and the last; or one.")
    ] = None,
    status: Annotated[_Status, typer.Option(help="Their status now.")] = "open",
) -> Selector:
    """The selector that these options mean; times are taken against the clock of now."""
    from stream_processor.operations.dlq.selection import Selector

    now = datetime.now(UTC)
    return Selector(
        ids=tuple(ids or ()),
        stage=stage,
        code=code,
        field=field,
        since=None if since is None else moment(since, now, "--since"),
        until=None if until is None else moment(until, now, "--until"),
        topic=topic,
        partition=partition,
        offsets=_range(offsets),
        status=None if status == "any" else status,
    )


@functools.cache  # each verb asks again for those of `_options`, and resolving them is slow
def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Its parameters, all by keyword, with annotations as objects."""
    hints = typing.get_type_hints(function, include_extras=True, localns={"Selector": object})
    return {
        name: each.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints.get(name, object))
        for name, each in inspect.signature(function).parameters.items()
    }


def moment(text: str, now: datetime, option: str) -> datetime:
    """What a person writes for a time, or for how long ago. Raises `typer.BadParameter`."""
    from stream_processor.config.units import Duration

    try:
        return now - timedelta(seconds=float(Duration.parse(text)))
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            "write a time like 2026-11-24T09:00:00Z, a date, or how long ago: 2h, 30d",
            param_hint=option,
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _range(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = _OFFSETS.fullmatch(text)
    if match is None:
        raise typer.BadParameter("write it as A-B, or one offset", param_hint="--offsets")
    first, last = int(match[1]), int(match[2] or match[1])
    if first > last:
        raise typer.BadParameter("write the smaller offset first", param_hint="--offsets")
    return first, last
