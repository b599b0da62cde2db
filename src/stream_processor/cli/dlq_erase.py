"""`dlq erase`: one event out of everything that this pipeline keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream_processor.cli import hints
from stream_processor.cli.dlq_job import job
from stream_processor.cli.dlq_selector import PipelineOption
from stream_processor.cli.endings import DONE, FINDINGS
from stream_processor.cli.options import AsJson, Verbose
from stream_processor.cli.output import cell, note, say, say_columns, say_json, sentence, size
from stream_processor.cli.pipeline_file import load

if TYPE_CHECKING:
    from stream_processor.operations.dlq.erase import ErasePlan, EraseReport
    from stream_processor.operations.dlq.erase_identity import EraseRequest
    from stream_processor.operations.dlq.erase_proof import Proof
    from stream_processor.runtime.config_loader import LoadedPipeline

_SHOWN_MAX = 10


def erase(
    *,
    topic: Annotated[str, typer.Option(help="The Kafka topic.")],
    partition: Annotated[int, typer.Option(min=0, help="The Kafka partition.")],
    offset: Annotated[int, typer.Option(min=0, help="The Kafka offset of the event.")],
    topic_id: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Which topic of that name, where there were several."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it; the plan alone if absent.")] = (
        False
    ),
    wait_vacuum: Annotated[
        bool,
        typer.Option("--wait-vacuum", help="Wait for the day, vacuum, and prove it; with --yes."),
    ] = False,
    pipeline: PipelineOption = None,
    as_json: AsJson = False,
    _verbose: Verbose = False,
) -> int:
    """Remove one event from both tables and the archive; without --yes, say where it is.

    The bytes are in files that the tables no longer name until vacuum removes them; the day is
    said. Kafka itself is not touched.
    """
    from stream_processor.operations.dlq.erase import plan_erase
    from stream_processor.operations.dlq.erase_identity import EraseRequest
    from stream_processor.operations.dlq.keepers import keepers_of

    if wait_vacuum and not yes:
        raise typer.BadParameter("give --yes too", param_hint="--wait-vacuum")
    request = EraseRequest(topic, partition, offset, topic_id)
    loaded = load(pipeline, {})
    if yes:
        return _erase(loaded, request, wait_vacuum=wait_vacuum, as_json=as_json)
    plan = plan_erase(keepers_of(loaded, ""), request)
    say_json(plan.as_json()) if as_json else show_plan(plan)
    return DONE


def _erase(
    loaded: LoadedPipeline, request: EraseRequest, *, wait_vacuum: bool, as_json: bool
) -> int:
    from stream_processor.operations.dlq import erase_proof
    from stream_processor.operations.dlq.erase import erase as erase_now
    from stream_processor.operations.dlq.erase import plan_erase
    from stream_processor.operations.dlq.keepers import keepers_of

    proof: Proof | None = None
    stopped = False
    with job(loaded, "erase") as (around, lifecycle):
        keepers = keepers_of(loaded, around.doer.run_id)
        identity = plan_erase(keepers, request).identity
        needles = erase_proof.needles_for(keepers, identity) if wait_vacuum else None
        report = erase_now(keepers, request, around)
        if not as_json:
            show_report(report)
        if needles is not None:
            stopped = not erase_proof.vacuum_when_due(keepers, report, around)
            if not stopped:
                proof = erase_proof.prove(keepers, identity, needles, around)
                stopped = proof is None
    if as_json:
        say_json(_together(report, proof))
    elif proof is not None:
        show_proof(proof)
    if stopped:
        note("stopped waiting: the event is erased; the same command goes on to wait and to prove")
        return lifecycle.exit_code() or FINDINGS
    return DONE if proof is None or proof.gone else FINDINGS


def show_plan(plan: ErasePlan) -> None:
    """Where the event is."""
    partition = plan.identity.partition
    say(sentence(f"{plan.identity}, topic id {partition.topic_id or '-'}, record {plan.dlq_id}"))
    rows = [
        ("dead letters", "1 record" if plan.in_dead_letters else "-"),
        ("rows", "1 row" if plan.in_data else "-"),
        ("archive", f"{len(plan.in_archive)} files" if plan.in_archive else "-"),
    ]
    say_columns(rows)
    if plan.erased_at is not None:
        say(f"erased at {_moment(plan.erased_at)}; vacuum removes the bytes from "
            f"{_moment(plan.physical_at(plan.erased_at))} on")  # fmt: skip
    if plan.anywhere:
        say("all of these would be removed, and the ledger would say so; nothing was done")
        hints.say_next(hints.again("--yes"))


def show_report(report: EraseReport) -> None:
    """What was done, and when it is physical."""
    say(sentence(f"erase {report.run_id}: {report.plan.identity} is in no table any more"))
    say(f"vacuum removes the bytes from {_moment(report.physical_at)} on")
    note("  Kafka keeps its own copy for as long as its retention says")


def show_proof(proof: Proof) -> None:
    """What the search found."""
    searched = f"searched {proof.objects:,} objects, {size(proof.size_bytes)}"
    if not proof.known:
        note("  no copy was left to learn its bytes from: it was searched for by its place alone")
    if proof.shared:
        note(f"  parts that stand in other events too prove nothing, left out: {proof.shared:,}")
    if proof.gone:
        say(f"{searched}: nothing of the event is left")
        return
    say(f"{searched}: something is left in {len(proof.left):,} of them")
    for each in proof.left[:_SHOWN_MAX]:
        what = "the event" if each.event else "its value" if each.value else "parts of it"
        say(f"FOUND  {cell(each.where)}: {'statistics with ' if each.in_log else ''}{what}")
    if proof.only_statistics:
        note(
            "  these are smallest and largest values in old entries of the log; `maintain --apply`"
        )
        note("  removes them when the table's delta.logRetentionDuration (30 days) is over")
    else:
        note("  a file that no table has named goes a week after it was written: run this again")


def _together(report: EraseReport, proof: Proof | None) -> dict[str, Any]:
    return {**report.as_json(), "proof": None if proof is None else proof.as_json()}


def _moment(moment: Any) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
