"""`dlq show`: why one record failed, or what one group is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from stream_processor.cli import hints
from stream_processor.cli.dlq_screens import Payload, show_group, show_record
from stream_processor.cli.dlq_selector import PipelineOption, selecting
from stream_processor.cli.dlq_words import short
from stream_processor.cli.options import AsJson, Verbose
from stream_processor.cli.output import say_json
from stream_processor.cli.pipeline_file import load

if TYPE_CHECKING:
    from stream_processor.operations.dlq.look import GroupView, RecordView
    from stream_processor.operations.dlq.selection import Selector
    from stream_processor.processor.plan import Plan
    from stream_processor.runtime.config_loader import LoadedPipeline

_KEYS = {
    "field.enum": "`enum`",
    "field.format": "`formats`, or `on_error: rescue`",
    "field.missing": "`from` or `required`",
    "field.null": "`required`",
    "field.pattern": "`pattern`",
    "field.range": "`minimum` or `maximum`",
    "field.type": "`from`, or `on_error: rescue`",
}
"""The key of a field in the schema file that decides about a code."""


@selecting("any")
def show(
    *,
    selector: Selector,
    as_: Annotated[
        Literal["pretty", "raw", "hex"],
        typer.Option("--as", help="How the value is shown; what is no JSON is never pretty."),
    ] = "pretty",
    lines: Annotated[
        int, typer.Option(min=1, metavar="N", help="At most so many lines of the value.")
    ] = 40,
    pipeline: PipelineOption = None,
    as_json: AsJson = False,
    _verbose: Verbose = False,
) -> None:
    """Show one record: how far it came, what was expected and found, its value and history.

    And what the schema that is on disk now would make of it. Or show one group: its newest
    records, how many failed in each hour, and what is wrong with them.
    """
    from stream_processor.operations.assemble import plan_of
    from stream_processor.operations.dlq.letters import open_letters
    from stream_processor.operations.dlq.look import RecordView, Rules, look
    from stream_processor.operations.snapshots import tables_of

    loaded = load(pipeline, {})
    plan = plan_of(loaded.pipeline, loaded.schema_file)
    tables = tables_of(loaded.pipeline)
    view = look(open_letters(tables), tables, selector, Rules(plan, datetime.now(UTC)))
    if isinstance(view, RecordView):
        value = _shown_value(view, plan)
        if as_json:
            say_json(_record_json(view, value))
            return
        show_record(view, Payload(value, as_, lines), str(loaded.schema_path))
        _after_record(view, loaded)
    else:
        if as_json:
            say_json(_group_json(view))
            return
        show_group(view)
        _after_group(view, loaded)


def _shown_value(view: RecordView, plan: Plan) -> bytes | None:
    """The stored value, with what `preview_mask` hides left out, as everywhere."""
    from stream_processor.processor.excerpt import masked

    value = view.letter["value"]
    return None if value is None else masked(value, plan.masks, view.letter["stage"])


def _record_json(view: RecordView, value: bytes | None) -> dict[str, Any]:
    from stream_processor.operations.dlq.verdict import ladder
    from stream_processor.operations.try_payloads import plain

    letter = view.letter
    return {
        "record": plain(letter | {"value": value}),
        "value_masked": value != letter["value"],
        "ladder": [{"step": step, "state": state} for step, state in ladder(letter["stage"])],
        "history": plain(list(view.history)),
        "now": view.verdict.as_json(),
    }


def _group_json(view: GroupView) -> dict[str, Any]:
    from stream_processor.operations.try_payloads import plain

    return {
        "group": view.group.as_json(),
        "hours": [{"hour": plain(hour), "count": count} for hour, count in view.hours.items()],
        "samples": plain(list(view.samples)),
        "problems": [
            {"code": code, "field_path": path, "expected": expected, "count": count}
            for (code, path, expected), count in view.problems.items()
        ],
    }


def _after_record(view: RecordView, loaded: LoadedPipeline) -> None:
    if view.letter["status"] != "open":
        return
    group = short(view.letter["fingerprint"])
    if view.verdict.outcome == "row":
        hints.say_next(hints.dlq("replay", group, "--dry-run", loaded=loaded), "the whole group")
    elif view.letter["stage"] in hints.NO_SCHEMA_HELPS:
        _set_aside(group, loaded)
    elif view.verdict.outcome == "dead_letter":
        again = hints.dlq("show", short(view.letter["dlq_id"]), loaded=loaded)
        now = view.verdict
        hints.say_next(again, _mended(loaded, now.code or "", now.field_path))


def _after_group(view: GroupView, loaded: LoadedPipeline) -> None:
    if view.samples:
        hints.say_next(hints.dlq("show", short(view.samples[0]["dlq_id"]), loaded=loaded))
    if view.group.open and view.group.stage in hints.NO_SCHEMA_HELPS:
        _set_aside(short(view.group.fingerprint), loaded)
    elif view.group.open:
        replay = hints.dlq("replay", short(view.group.fingerprint), "--dry-run", loaded=loaded)
        hints.say_next(replay, _mended(loaded, view.group.code, view.group.field_path))


def _mended(loaded: LoadedPipeline, code: str, field: str | None) -> str:
    """When to go on: which key of which field is to be changed where."""
    from stream_processor.operations.program import from_here

    if code.startswith("transform."):
        return f"when `transform` in {from_here(loaded.path)} is mended"
    key = f": {_KEYS[code]} of {field}" if code in _KEYS and field else ""
    return f"when {from_here(loaded.schema_path)} is mended{key}"


def _set_aside(group: str, loaded: LoadedPipeline) -> None:
    ignore = hints.dlq("ignore", group, "--note", "WHY", loaded=loaded)
    hints.say_next(ignore, "when its producer is mended: no schema reads this")
