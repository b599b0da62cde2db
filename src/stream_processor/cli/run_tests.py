"""`test`: fixture files, run against a pipeline file without any server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream_processor.cli.endings import DONE, FINDINGS
from stream_processor.cli.options import AsJson, Verbose
from stream_processor.cli.output import cell, columns, say, say_json, sentence
from stream_processor.schema.display import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stream_processor.operations.fixture_differences import Difference
    from stream_processor.operations.fixtures import FileOutcome, Outcome

_INDENT = " " * 8


def run_tests(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE",
            help="Fixture files; if none, tests.yaml and *.test.yaml beside the pipeline file.",
        ),
    ] = None,
    *,
    pipeline: Annotated[
        Path | None,
        typer.Option("--pipeline", "-p", help="Judge by this pipeline file, whatever they name."),
    ] = None,
    as_json: AsJson = False,
    _verbose: Verbose = False,
) -> int:
    """Run fixture files: events in, rows and dead letters out, no server needed.

    Exit 1 when something is not as expected, 2 when a file is wrong.
    """
    from stream_processor.operations.fixtures import fixtures_beside, run_fixture
    from stream_processor.runtime.clock import SystemClock

    clock = SystemClock()
    done = [
        run_fixture(path, pipeline, clock)
        for path in dict.fromkeys(files or fixtures_beside(pipeline))
    ]
    tests = [each for file in done for each in file.tests]
    passed = sum(each.passed for each in tests)
    if as_json:
        counts = {"passed": passed, "failed": len(tests) - passed}
        say_json({**counts, "files": [each.as_json() for each in done]})
    else:
        show(done)
        say(f"{passed:,} passed, {len(tests) - passed:,} failed")
    return DONE if passed == len(tests) else FINDINGS


def show(files: list[FileOutcome]) -> None:
    """Every test in a line, and below a failed one what was expected and found."""
    for file in files:
        say(cell(file.path))
        lines = columns((each.name, _counts(each)) for each in file.tests)
        for test, line in zip(file.tests, lines, strict=True):
            say(f"  {'pass' if test.passed else 'FAIL'}  {line}")
            for difference in test.differences:
                for text in _told(difference):
                    say(f"{_INDENT}{text}")


def _counts(test: Outcome) -> str:
    rows = f"{test.rows:,} row{'' if test.rows == 1 else 's'}"
    dead = f"{test.dead_letters:,} dead letter{'' if test.dead_letters == 1 else 's'}"
    return ", ".join([rows, dead, *([f"{test.skipped:,} skipped"] if test.skipped else [])])


def _told(difference: Difference) -> Iterator[str]:
    yield sentence(f"{difference.place}: expected {difference.expected}, got {difference.found}")
    if difference.cause:
        words = (
            f"{name.removesuffix('_path')}={printable(str(value), 200)}"
            for name, value in difference.cause.items()
        )
        yield sentence(" ".join(words))
