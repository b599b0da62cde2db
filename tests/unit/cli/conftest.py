"""One command line, run in this process, and its expected words in files.

`UPDATE_GOLDEN=1 pytest tests/unit/cli` writes the files anew; review them as a diff.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from stream_processor.cli.app import run_command

GOLDEN = Path(__file__).parents[2] / "golden" / "cli"
VARIABLES = (
    "KAFKA_BOOTSTRAP_SERVERS", "KAFKA_TOPICS", "LAKEHOUSE", "S3_ENDPOINT", "S3_ACCESS_KEY_ID",
    "S3_SECRET_ACCESS_KEY", "S3_REGION", "STREAM_PROCESSOR_PROFILE", "STREAM_PROCESSOR_LOG_LEVEL",
)  # fmt: skip  # one name per line would be nine lines


@dataclass(frozen=True)
class Ended:
    """What one command left behind."""

    code: int
    out: str
    err: str


Command = Callable[..., Ended]
Golden = Callable[[str, str], None]


@pytest.fixture
def command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Command:
    """`command("check", "x.yaml")` in an empty folder, without any of our variables."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> Ended:
        capsys.readouterr()
        code = run_command(arguments)
        out, err = capsys.readouterr()
        return Ended(code, out, err)

    return run


@pytest.fixture
def golden() -> Golden:
    """`golden("help", text)`: the text is that of tests/golden/cli/help.txt."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / f"{name}.txt"
        if os.environ.get("UPDATE_GOLDEN"):
            path.write_text(text)
        assert text == path.read_text()

    return compare
