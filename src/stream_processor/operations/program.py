"""How this program is called where it runs, so that a hint can be typed as it is printed."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

NAME = "stream-processor"


def as_typed(*words: str) -> str:
    """A command line of this program for a person to copy: `stream-processor dlq list`.

    Called for every hint that names a verb. The program is named as it was called: as the command
    where the shell finds it, else by its path, or as a module.
    """
    return " ".join([_program(), *words])


def _program() -> str:
    called = Path(sys.argv[0])
    if called.name == "main.py":
        python = from_here(Path(sys.executable))
        return f"{'python' if Path(python).is_absolute() else python} -m stream_processor.main"
    if called.name == NAME and shutil.which(NAME) != str(called.absolute()):
        return from_here(called)
    return NAME


def from_here(path: Path) -> str:
    """A path as a person would name it who is here: relative where it is below this folder."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
