"""`check`: is the file right, is the world there, and what would become of real events?"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream_processor.cli.endings import DONE, FINDINGS
from stream_processor.cli.options import AsJson, Overrides, Verbose, overrides
from stream_processor.cli.output import cell, columns, say, say_json, visible_lines
from stream_processor.cli.pipeline_file import environment_of
from stream_processor.errors import StreamProcessorError

if TYPE_CHECKING:
    from stream_processor.operations.check import Probe, SampleReport
    from stream_processor.runtime.config_loader import LoadedPipeline
    from stream_processor.runtime.config_problems import InvalidConfiguration

_DEFAULT = "the built-in pipeline file"


def check(
    pipelines: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PIPELINE...", help="Pipeline files; the built-in one if none."),
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
    screen = _Json() if as_json else _Screen()
    paths: Sequence[Path | None] = pipelines or [None]
    codes = [
        _check_one(path, screen, overrides(set_), connect=connect, sample=sample) for path in paths
    ]
    screen.close(looked=connect or sample is not None)
    return max(codes)


def _check_one(
    path: Path | None,
    screen: _Screen,
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


class _Screen:
    """Shows each result as it comes; `_Json` collects the same for one document."""

    def begin(self, path: str) -> None:
        say(cell(path))

    def invalid(self, error: InvalidConfiguration) -> None:
        for line in visible_lines(error.message):
            say(line)

    def valid(self, loaded: LoadedPipeline, seconds: float) -> None:
        from stream_processor.runtime.config_problems import render

        fields = len(loaded.schema_file.fields)
        _line("ok", "config", f"schema {loaded.schema_path}: {fields} fields", seconds)
        if loaded.warnings:
            for line in visible_lines(render(loaded.warnings)):
                say(line)

    def probe(self, probe: Probe) -> None:
        _line("ok" if probe.ok else "FAIL", probe.subject, probe.text, probe.seconds)
        if probe.hint:
            say(f"                hint: {cell(probe.hint)}")

    def failed(self, subject: str, error: StreamProcessorError) -> None:
        _line("FAIL", subject, error.message, None)
        if error.hint:
            say(f"                hint: {cell(error.hint)}")

    def sample(self, report: SampleReport) -> None:
        text = (
            f"{report.records:,} events: {report.rows:,} rows, "
            f"{report.dead_letters:,} dead letters, {report.skipped:,} skipped"
        )
        _line("ok", "sample", text, None)
        if not report.causes:
            return
        say("\n  would be dead-lettered")
        rows = [
            (each.count, each.stage, each.code, each.field_path or "-", _reason(each))
            for each in report.causes
        ]
        for line in columns(rows, right=[0]):
            say(f"  {line}")

    def close(self, *, looked: bool) -> None:
        if looked:
            say("\nno table was written, no offset was committed")


class _Json(_Screen):
    """One document at the end; the files in the order in which they were named."""

    def __init__(self) -> None:
        self._files: list[dict[str, Any]] = []

    def begin(self, path: str) -> None:
        self._files.append({"file": path, "problems": [], "probes": [], "sample": None})

    def invalid(self, error: InvalidConfiguration) -> None:
        self._files[-1]["problems"] = [asdict(each) for each in error.problems]

    def valid(self, loaded: LoadedPipeline, seconds: float) -> None:  # noqa: ARG002 - no time here
        self._files[-1]["problems"] = [asdict(each) for each in loaded.warnings]

    def probe(self, probe: Probe) -> None:
        self._files[-1]["probes"].append(asdict(probe))

    def failed(self, subject: str, error: StreamProcessorError) -> None:
        found = {"subject": subject, "ok": False, "text": error.message, "hint": error.hint}
        self._files[-1]["probes"].append(found)

    def sample(self, report: SampleReport) -> None:
        self._files[-1]["sample"] = asdict(report)

    def close(self, *, looked: bool) -> None:  # noqa: ARG002 - JSON says what it says
        say_json({"files": self._files})


def _line(verdict: str, subject: str, text: str, seconds: float | None) -> None:
    took = "" if seconds is None else f"   {seconds * 1000:,.0f} ms"
    say(f"  {verdict:<4}  {subject:<7}  {cell(text)}{took}")


def _reason(cause: Any) -> str:
    if cause.expected is None and cause.actual is None:
        return str(cause.message)
    found = "" if cause.actual is None else f", got {cause.actual}"
    return f"expected {cause.expected}{found}"
