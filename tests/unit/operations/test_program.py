"""A hint can be typed as it is printed, wherever the program was started."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stream_processor.operations.program import as_typed


def test_the_command_that_the_shell_finds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In an active environment the short name is what people type."""
    script = tmp_path / "bin" / "stream-processor"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent))
    monkeypatch.setattr(sys, "argv", [str(script), "demo"])
    assert as_typed("dlq", "list") == "stream-processor dlq list"


def test_a_command_that_only_make_knows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """After `make demo` nothing is active yet: the path of the environment is needed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "argv", [".venv/bin/stream-processor", "demo"])
    assert as_typed("dlq list") == ".venv/bin/stream-processor dlq list"


def test_a_module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The quick start runs the module, so its hints do too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["/src/stream_processor/main.py", "verify"])
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv/bin/python"))
    assert as_typed("verify") == ".venv/bin/python -m stream_processor.main verify"
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    assert as_typed("verify") == "python -m stream_processor.main verify"
