"""`dlq replay`: dead letters become rows by today's rules, or go back to a topic."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from stream_processor.cli import hints
from stream_processor.cli.dlq_job import job
from stream_processor.cli.dlq_replay_screens import show_rehearsal, show_report
from stream_processor.cli.dlq_selector import PipelineOption, selecting
from stream_processor.cli.dlq_words import short
from stream_processor.cli.endings import DONE, FINDINGS
from stream_processor.cli.options import AsJson, Verbose
from stream_processor.cli.output import say_json
from stream_processor.cli.pipeline_file import load

if TYPE_CHECKING:
    from stream_processor.operations.dlq.replay_patch import Patch
    from stream_processor.operations.dlq.replay_request import ReplayRequest, Topic
    from stream_processor.operations.dlq.selection import Selector
    from stream_processor.runtime.config_loader import LoadedPipeline

_RATE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(?:/s)?")
_TOPIC = re.compile(r"topic:([A-Za-z0-9._-]{1,249})")


@selecting("open")
def replay(
    *,
    selector: Selector,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say what would happen; write nothing."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it.")] = False,
    to: Annotated[
        str,
        typer.Option(metavar="TARGET", help="table, or topic:NAME to send the events there."),
    ] = "table",
    patch: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A JSON merge patch for each value, before it is read."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="At most so many records.")
    ] = None,
    rate: Annotated[
        str | None, typer.Option(metavar="N/s", help="At most so many records per second.")
    ] = None,
    on_fail: Annotated[
        Literal["keep", "stop"],
        typer.Option(help="keep: what fails again stays open; stop: end at the first one."),
    ] = "keep",
    header: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A header that goes along to a topic. Repeatable."),
    ] = None,
    yes_same_topic: Annotated[
        bool,
        typer.Option("--yes-same-topic", help="Allow a topic that this pipeline reads: a loop."),
    ] = False,
    pipeline: PipelineOption = None,
    as_json: AsJson = False,
    _verbose: Verbose = False,
) -> int:
    """Read dead letters again by the rules that are on disk now, and write what succeeds, once.

    On a terminal it only says what would happen, until --yes. Exit 1 when a record failed again.
    """
    from stream_processor.operations.dlq.replay_request import ReplayRequest

    _check_decided(dry_run=dry_run, yes=yes)
    request = ReplayRequest(
        selector=selector,
        to=_topic(to, tuple(header or ()), same_topic=yes_same_topic),
        patch=None if patch is None else _patch(patch),
        limit=limit,
        rate=_rate(rate),
        on_fail=on_fail,
    )
    if request.to is not None and request.patch is not None:
        raise typer.BadParameter(
            "a topic gets the very bytes that came; --patch is for the table", param_hint="--patch"
        )
    loaded = load(pipeline, {})
    return _replay(loaded, request, as_json) if yes else _rehearse(loaded, request, as_json)


def _check_decided(*, dry_run: bool, yes: bool) -> None:
    if dry_run and yes:
        raise typer.BadParameter("--dry-run and --yes exclude each other", param_hint="--yes")
    if not (dry_run or yes or sys.stdout.isatty()):
        raise typer.BadParameter(
            "say --dry-run or --yes; only on a terminal is it a dry run unasked", param_hint="--yes"
        )


def _rehearse(loaded: LoadedPipeline, request: ReplayRequest, as_json: bool) -> int:  # noqa: FBT001 - the flag as it came
    from stream_processor.operations.dlq.replay_dry_run import rehearse
    from stream_processor.runtime.clock import SystemClock

    made = rehearse(loaded, request, SystemClock())
    if as_json:
        say_json(made.as_json())
    else:
        show_rehearsal(made)
        if made.tally.replayed:
            hints.say_next(hints.again("--yes", without="--dry-run"))
        elif example := next(iter(made.tally.failures.examples.values()), None):
            hints.say_next(hints.dlq("show", short(example), loaded=loaded), "why it still fails")
    return FINDINGS if made.tally.failed or made.tally.skipped else DONE


def _replay(loaded: LoadedPipeline, request: ReplayRequest, as_json: bool) -> int:  # noqa: FBT001 - the flag as it came
    from stream_processor.operations.dlq.replay import replay as run_replay

    with job(loaded, "replay") as (around, lifecycle):
        report = run_replay(loaded, request, around)
    if as_json:
        say_json(report.as_json())
    else:
        show_report(report)
        if report.tally.failed:
            hints.say_next(hints.dlq("list", loaded=loaded), "what failed again stays open")
        hints.say_next(hints.about("verify", loaded), "the proof that nothing is lost or double")
    if report.ended == "cancelled":
        return lifecycle.exit_code() or FINDINGS
    return DONE if report.clean else FINDINGS


def _patch(path: Path) -> Patch:
    from stream_processor.errors import ConfigurationError
    from stream_processor.operations.dlq.replay_patch import parse_patch

    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}", hint="check the name given to --patch"
        ) from error
    return parse_patch(text, str(path))


def _rate(text: str | None) -> float | None:
    if text is None:
        return None
    match = _RATE.fullmatch(text)
    if match is None or not float(match[1]):
        raise typer.BadParameter("write it like 200/s", param_hint="--rate")
    return float(match[1])


def _topic(text: str, headers: tuple[str, ...], *, same_topic: bool) -> Topic | None:
    from stream_processor.operations.dlq.replay_request import Topic

    if text == "table":
        if headers or same_topic:
            raise typer.BadParameter(
                "--header and --yes-same-topic are for --to topic:NAME", param_hint="--to"
            )
        return None
    match = _TOPIC.fullmatch(text)
    if match is None or match[1] in {".", ".."}:
        raise typer.BadParameter("write table, or topic:NAME", param_hint="--to")
    return Topic(match[1], headers, same_topic)
