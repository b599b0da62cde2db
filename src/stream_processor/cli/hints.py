"""What to type next, said so that it can be copied: each verb leads to the one that follows."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING

from stream_processor.cli.output import note, sentence
from stream_processor.operations.program import as_typed

if TYPE_CHECKING:
    from stream_processor.runtime.config_loader import LoadedPipeline

NO_SCHEMA_HELPS = ("decode", "parse")
"""Stages in which an event fails before its schema is looked at: only its sender can mend it."""

_TYPED: ContextVar[tuple[str, ...]] = ContextVar("typed", default=())


def remember(arguments: Sequence[str]) -> None:
    """Keep what was typed, for `again`. Called by `app.run_command` alone."""
    _TYPED.set(tuple(arguments))


def again(adding: str, *, without: str = "") -> str:
    """The command line that was typed, with one flag more, and one less where it is there."""
    words = [word for word in _TYPED.get() if word != without]
    return as_typed(shlex.join([*words, adding]))


def dlq(verb: str, *words: str, loaded: LoadedPipeline) -> str:
    """A verb of `dlq` on the same pipeline."""
    named = [f"--pipeline={name}" for name in _named(loaded)]
    return as_typed(shlex.join(["dlq", verb, *words, *named]))


def about(verb: str, loaded: LoadedPipeline) -> str:
    """`verify` or `status` of the same pipeline."""
    return as_typed(shlex.join([verb, *_named(loaded)]))


def _named(loaded: LoadedPipeline) -> list[str]:
    """The pipeline file, unless it is the built-in one."""
    from stream_processor.runtime.config_loader import default_file

    return [] if loaded.path == default_file() else [str(loaded.path)]


def say_next(command: str, why: str = "") -> None:
    """One line on stderr: what a person probably wants to type now."""
    note(sentence(f"  next: {command}{f'   {why}' if why else ''}"))
