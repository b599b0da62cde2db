"""`try`: what would become of these events?"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal

import typer

from stream_processor.cli.options import Overrides, Verbose, overrides
from stream_processor.cli.output import json_text, say
from stream_processor.cli.pipeline_file import load
from stream_processor.errors import ConfigurationError

if TYPE_CHECKING:
    from stream_processor.processor.plan import Plan


def try_payloads(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The events; stdin if none, or -.")
    ] = None,
    *,
    input_: Annotated[
        Literal["envelope", "raw"],
        typer.Option(
            "--input",
            help='envelope: lines like {"value_base64": ..., "key_base64": ..., "headers": ...}; '
            "raw: one payload per line.",
        ),
    ] = "envelope",
    schema: Annotated[
        Path | None,
        typer.Option("--schema", help="Judge by this schema file alone, with default settings."),
    ] = None,
    pipeline: Annotated[
        Path | None, typer.Option("--pipeline", help="Judge by this pipeline file.")
    ] = None,
    set_: Overrides = None,
    _verbose: Verbose = False,
) -> None:
    """Judge events by the rules of a run; writes nothing and asks nobody.

    Prints one JSON line for each: {"row": ...}, {"dead_letter": ...} or {"skipped": ...}. A dead
    letter is an answer, not a failure: the exit code stays 0.
    """
    from stream_processor.operations.try_payloads import envelope_events, raw_events, verdicts
    from stream_processor.runtime.clock import SystemClock

    plan = _plan(schema, pipeline, overrides(set_))
    with _opened(file) as stream:
        events = envelope_events(stream) if input_ == "envelope" else raw_events(stream)
        for answers in verdicts(events, plan, SystemClock()):
            if answers:
                say("\n".join(map(json_text, answers)))  # one write: a file may be large


def _plan(schema: Path | None, pipeline: Path | None, changes: Mapping[str, str]) -> Plan:
    from stream_processor.operations.assemble import plan_of
    from stream_processor.operations.try_payloads import plan_of_schema
    from stream_processor.runtime.config_loader import load_schema

    if schema is None:
        loaded = load(pipeline, changes)
        return plan_of(loaded.pipeline, loaded.schema_file)
    if pipeline is not None or changes:
        raise typer.BadParameter("use it without --pipeline and --set", param_hint="--schema")
    return plan_of_schema(load_schema(schema))


@contextmanager
def _opened(file: Path | None) -> Iterator[BinaryIO]:
    if file is None or str(file) == "-":
        with nullcontext(sys.stdin.buffer) as stream:
            yield stream
        return
    try:
        stream = file.open("rb")
    except OSError as error:
        raise ConfigurationError(
            f"the file {file} cannot be read: {error.strerror}", hint="check its name and rights"
        ) from error
    with stream:
        yield stream
