"""Where the decoder in C was not built, or is of no use, Python decodes and nobody is disturbed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import stream_processor

PACKAGE = Path(stream_processor.__file__).parent
LIBRARY = "processor/native/_scan.abi3.so"


@pytest.mark.parametrize("built", [None, b"", b"\x7fELF of another machine"])
def test_without_a_library_python_decodes(tmp_path: Path, built: bytes | None) -> None:
    """A machine without a compiler, and a file from another one, must not stop a stream."""
    copy = tmp_path / "stream_processor"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    if built is not None:
        (copy / LIBRARY).write_bytes(built)
    command = [sys.executable, "-m", "stream_processor.main", "version", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["decoder"] == "python"
