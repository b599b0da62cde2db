"""`check`: is the file right, is the world there, and what would become of real events?"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from stream_processor.cli.check_screens import JsonScreen, Screen
from stream_processor.cli.endings import DONE, FINDINGS
from stream_processor.cli.options import AsJson, Overrides, Verbose, overrides
from stream_processor.cli.pipeline_file import environment_of
from stream_processor.errors import StreamProcessorError

_DEFAULT = "the built-in pipeline file"


def check(
    pipelines: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PIPELINE", help="Pipeline files; the built-in one if none."),
    ] = None,
    *,
    connect: Annotated[
        bool, typer.Option("--connect", help="Also look at Kafka, the store and the tables.")
    ] = False,
    sample: Annotated[
        int | None,
        typer.Option(
            "--sample",
            min=1,
            max=1_000_000,
            metavar="N",
            help="Also judge the newest N events, without writing anything.",
        ),
    ] = None,
    set_: Overrides = None,
    as_json: AsJson = False,
    _verbose: Verbose = False,
) -> int:
    """Check pipeline files and the schema files that they name; all errors at once.

    Exit 2 when a file is wrong, 1 when a probe fails, else 0. No offset is committed, no table is
    written; the proof of an S3 store makes and removes a few keys of its own.
    """
    screen = JsonScreen() if as_json else Screen()
    paths: Sequence[Path | None] = pipelines or [None]
    codes = [
        _check_one(path, screen, overrides(set_), connect=connect, sample=sample) for path in paths
    ]
    screen.close(looked=connect or sample is not None)
    return max(codes)


def _check_one(
    path: Path | None,
    screen: Screen,
    changes: Mapping[str, str],
    *,
    connect: bool,
    sample: int | None,
) -> int:
    from stream_processor.operations.check import probes
    from stream_processor.operations.check import sample as judge
    from stream_processor.runtime.config_loader import load_pipeline
    from stream_processor.runtime.config_problems import InvalidConfiguration

    screen.begin(_DEFAULT if path is None else str(path))
    began = time.monotonic()
    try:
        loaded = load_pipeline(path, environment=environment_of(path), overrides=changes)
    except InvalidConfiguration as error:
        screen.invalid(error)
        return error.exit_code
    screen.valid(loaded, time.monotonic() - began)
    code = DONE
    if connect:
        for probe in probes(loaded.pipeline, loaded.schema_file):
            screen.probe(probe)
            code = code if probe.ok else FINDINGS
    if sample is not None:
        try:
            screen.sample(judge(loaded.pipeline, loaded.schema_file, sample))
        except StreamProcessorError as error:
            screen.failed("sample", error)
            code = FINDINGS
    return code
