"""What `check` shows: line by line as it comes, or one JSON document at the end."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from stream_processor.cli.output import columns, say, say_json, sentence, visible_lines
from stream_processor.errors import StreamProcessorError

if TYPE_CHECKING:
    from stream_processor.operations.check import Cause, Probe, SampleReport
    from stream_processor.runtime.config_loader import LoadedPipeline
    from stream_processor.runtime.config_problems import InvalidConfiguration

_INDENT = " " * 17


class Screen:
    """Text for a person. `check` calls `begin`, what it found of that file, at last `close`."""

    def __init__(self) -> None:
        self._path = ""

    def begin(self, path: str) -> None:
        """Whatever comes next is of this file."""
        self._path = path

    def invalid(self, error: InvalidConfiguration) -> None:
        """The file is wrong; nothing else is looked at."""
        for line in visible_lines(error.message):
            say(line)

    def valid(self, loaded: LoadedPipeline, seconds: float) -> None:
        """The file is right, perhaps with warnings."""
        from stream_processor.runtime.config_problems import render

        say(sentence(self._path))
        fields = len(loaded.schema_file.fields)
        _line("ok", "config", f"schema {loaded.schema_path}: {fields} fields", seconds)
        if loaded.warnings:
            for line in visible_lines(render(loaded.warnings)):
                say(line)

    def probe(self, probe: Probe) -> None:
        """One look at the world is done."""
        _line("ok" if probe.ok else "FAIL", probe.subject, probe.text, probe.seconds)
        if probe.hint:
            say(f"{_INDENT}hint: {sentence(probe.hint)}")

    def failed(self, subject: str, error: StreamProcessorError) -> None:
        """Something could not even be looked at."""
        _line("FAIL", subject, error.message, None)
        if error.hint:
            say(f"{_INDENT}hint: {sentence(error.hint)}")

    def sample(self, report: SampleReport) -> None:
        """What would become of the newest events."""
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
        """All files are done; `looked`: Kafka or a store was asked too."""
        if looked:
            say("\nno table was written, no offset was committed")


class JsonScreen(Screen):
    """The same as JSON; the files in the order in which they were named."""

    def __init__(self) -> None:
        super().__init__()
        self._files: list[dict[str, Any]] = []

    def begin(self, path: str) -> None:
        """See `Screen`."""
        self._files.append({"file": path, "problems": [], "probes": [], "sample": None})

    def invalid(self, error: InvalidConfiguration) -> None:
        """See `Screen`."""
        self._files[-1]["problems"] = [asdict(each) for each in error.problems]

    def valid(self, loaded: LoadedPipeline, seconds: float) -> None:  # noqa: ARG002 - not of interest
        """See `Screen`."""
        self._files[-1]["problems"] = [asdict(each) for each in loaded.warnings]

    def probe(self, probe: Probe) -> None:
        """See `Screen`."""
        self._files[-1]["probes"].append(asdict(probe))

    def failed(self, subject: str, error: StreamProcessorError) -> None:
        """See `Screen`."""
        found = {"subject": subject, "ok": False, "text": error.message, "hint": error.hint}
        self._files[-1]["probes"].append(found)

    def sample(self, report: SampleReport) -> None:
        """See `Screen`."""
        self._files[-1]["sample"] = asdict(report)

    def close(self, *, looked: bool) -> None:  # noqa: ARG002 - the document says what was done
        """See `Screen`."""
        say_json({"files": self._files})


def _line(verdict: str, subject: str, text: str, seconds: float | None) -> None:
    took = "" if seconds is None else f"   {seconds * 1000:,.0f} ms"
    say(f"  {verdict:<4}  {subject:<7}  {sentence(text)}{took}")


def _reason(cause: Cause) -> str:
    if cause.expected is None and cause.actual is None:
        return cause.message
    found = "" if cause.actual is None else f", got {cause.actual}"
    return f"expected {cause.expected}{found}"
