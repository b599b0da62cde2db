"""How a command ends: an exit code, and for a bad end what happened and what to do."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import traceback
from pathlib import Path
from typing import NoReturn

import typer

import stream_processor
from stream_processor.cli.options import Session
from stream_processor.cli.output import note, visible_lines
from stream_processor.errors import StreamProcessorError

DONE, FINDINGS, USAGE, AWAY, FLOODED, INTERRUPTED = 0, 1, 2, 3, 4, 130

EXIT_CODES = {
    DONE: "done",
    FINDINGS: "findings, a handled failure, or a decision is needed",
    USAGE: "usage or configuration",
    AWAY: "a dependency is away at the start",
    FLOODED: "the breaker has paused a bounded run",
    INTERRUPTED: "interrupted",
}
"""Every exit code there is; docs/reference/cli.md explains them."""

_FRAMES_MAX = 30


def told(error: BaseException, session: Session) -> int:
    """Say on stderr what happened and what to do; return the exit code. Called by `app` alone."""
    if isinstance(error, KeyboardInterrupt):
        note("interrupted")
        return INTERRUPTED
    if isinstance(error, StreamProcessorError):
        return _foreseen(error, session)
    if isinstance(error, typer.Abort):
        return FINDINGS
    if isinstance(error, typer.TyperException):
        return _usage(error)
    _unforeseen(error, session)
    return FINDINGS


def unwritable() -> int:
    """The reader of our output has gone: end without a word, and without Python's own at exit."""
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, sys.stdout.fileno())
    os.close(silent)
    return FINDINGS


def end_process(code: int) -> NoReturn:
    """End at once, after exit handlers and with everything said. Called by `main` alone.

    Arrow closes the files of a scan a moment after its last batch, through Python, on threads of
    its own. One that does so while the interpreter takes itself down aborts the process, with exit
    code 134 behind a complete answer (delta-rs #2184, apache/arrow #34314). So that is left out.
    """
    atexit._run_exitfuncs()  # noqa: SLF001 - the only way to run them without the rest
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # whoever read it has gone
            stream.flush()
    os._exit(code)


def _foreseen(error: StreamProcessorError, session: Session) -> int:
    first, *rest = [
        *visible_lines(error.message),
        *(f"  to do: {line}" for line in visible_lines(error.hint)),
    ]
    # A report of the loader has places and carets of its own.
    note(first if "\n" in error.message else f"error: {first}")
    for line in rest:
        note(line)
    if session.verbose:
        _trace(error)
    return error.exit_code


def _usage(error: typer.TyperException) -> int:
    context = getattr(error, "ctx", None)
    if context is not None and type(error).__name__ == "NoArgsIsHelpError":
        note("error: a verb is missing")  # its own text is the whole help
        verbs = ", ".join(context.command.commands)
        note(f"  to do: say one of {verbs}; see {context.command_path} --help")
        return USAGE
    message = error.format_message().replace("Value error, ", "")
    near = getattr(error, "possibilities", None)  # closest first, where an option is unknown
    for line in visible_lines(
        f"error: {error.message}. Did you mean {near[0]!r}?" if near else f"error: {message}"
    ):
        note(line)
    if context is not None:
        note(f"  to do: see {context.command_path} --help")
    return USAGE


def _unforeseen(error: BaseException, session: Session) -> None:
    """Our own mistake: its kind and place, but never its text, which may quote an event."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if _ROOT in frame.filename] or list(frames)
    place = f" at {_short(ours[-1].filename)}:{ours[-1].lineno}" if ours else ""
    note(f"error: a mistake of ours: {type(error).__name__}{place}")
    note(f"  to do: please report this line, with version {stream_processor.__version__}")
    if session.verbose:
        _trace(error)


_ROOT = str(Path(stream_processor.__file__).parent)


def _trace(error: BaseException) -> None:
    """Where in the code, without local variables and without the texts of foreign exceptions."""
    cause: BaseException | None = error
    while cause is not None:
        note(f"  {type(cause).__name__}")
        for frame in traceback.extract_tb(cause.__traceback__)[-_FRAMES_MAX:]:
            note(f"    {_short(frame.filename)}:{frame.lineno} {frame.name}")
        cause = cause.__cause__


def _short(path: str) -> str:
    return "/".join(path.split("/")[-3:])
