"""`dlq ignore` and `dlq reopen`: what a person decides about dead letters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream_processor.cli import hints
from stream_processor.cli.dlq_selector import PipelineOption, selecting
from stream_processor.cli.options import Verbose
from stream_processor.cli.output import say, sentence
from stream_processor.cli.pipeline_file import load

if TYPE_CHECKING:
    from stream_processor.operations.dlq.selection import Selector
    from stream_processor.operations.dlq.settle import Action, SettlePlan

_Note = Annotated[str, typer.Option("--note", help="Why; it stays in the ledger.")]
_Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it; the plan alone if absent.")]


@selecting("open")
def ignore(
    *,
    selector: Selector,
    note_: _Note = "",
    yes: _Yes = False,
    pipeline: PipelineOption = None,
    _verbose: Verbose = False,
) -> None:
    """Set open dead letters aside: they need no replay. Nothing is removed, `reopen` undoes it.

    A group that is ignored and receives new records is shown as regressed.
    """
    _settle("ignored", selector, note_, yes=yes, pipeline=pipeline)


@selecting("ignored")
def reopen(
    *,
    selector: Selector,
    note_: _Note = "",
    yes: _Yes = False,
    pipeline: PipelineOption = None,
    _verbose: Verbose = False,
) -> None:
    """Make ignored dead letters open again."""
    _settle("reopened", selector, note_, yes=yes, pipeline=pipeline)


def _settle(
    action: Action, selector: Selector, words: str, *, yes: bool, pipeline: Path | None
) -> None:
    from stream_processor.operations.assemble import ledger
    from stream_processor.operations.dlq.actor import this_person
    from stream_processor.operations.dlq.letters import open_letters
    from stream_processor.operations.dlq.replay_request import Doer, new_run_id
    from stream_processor.operations.dlq.selection import Selector
    from stream_processor.operations.dlq.settle import Settler
    from stream_processor.operations.snapshots import tables_of
    from stream_processor.runtime.clock import SystemClock

    if selector == Selector(status=selector.status):
        raise typer.BadParameter("say which dead letters: name a group, or use an option")
    loaded = load(pipeline, {}).pipeline
    settler = Settler(open_letters(tables_of(loaded)), selector, action)
    plan = settler.plan()
    show_plan(plan)
    if not plan.changing:
        return
    if not yes:
        say("nothing was changed")
        hints.say_next(hints.again("--yes"))
        return
    clock = SystemClock()
    doer = Doer(new_run_id(clock.now()), this_person())
    done = settler.do(ledger(loaded), doer, words, clock)
    say(f"{done:,} dead letters {action}, run {doer.run_id}")


def show_plan(plan: SettlePlan) -> None:
    """How many would change, and how many are not what this verb is for."""
    groups = "1 group" if plan.groups == 1 else f"{plan.groups:,} groups"
    say(f"{plan.changing:,} dead letters in {groups} to be {plan.action}")
    for status, count in plan.others.items():
        say(sentence(f"{count:,} stay as they are: {status}"))
