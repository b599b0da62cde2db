"""`demo`: everything on one machine, from nothing to a proof."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stream_processor.cli.endings import DONE, FINDINGS
from stream_processor.cli.options import AsJson, Verbose
from stream_processor.cli.output import say, say_json

_DRAIN_SECONDS = 30.0


def demo(
    *,
    events: Annotated[
        int, typer.Option("--events", min=1, metavar="N", help="How many orders are made.")
    ] = 100_000,
    folder: Annotated[
        Path, typer.Option("--folder", help="Where tables and Kafka's own files go.")
    ] = Path("lakehouse"),
    as_json: AsJson = False,
    _verbose: Verbose = False,
) -> int:
    """Start a real Kafka, make orders, some of them broken, write the tables and verify them.

    A second run continues where the first one ended.
    """
    from stream_processor.operations.demo import DemoRequest
    from stream_processor.operations.demo import demo as make_demo
    from stream_processor.runtime.clock import SystemClock
    from stream_processor.runtime.lifecycle import Lifecycle

    with Lifecycle(SystemClock(), _DRAIN_SECONDS).handling_signals() as lifecycle:
        report = make_demo(DemoRequest(folder, events), lifecycle.stop)
    if as_json:
        say_json(report.as_json())
    else:
        say(report.text)
    if lifecycle.stop.is_set():
        return lifecycle.exit_code()
    return DONE if report.clean else FINDINGS
