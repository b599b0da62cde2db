"""The pipeline that a verb speaks of: a named file, the default one, or the local mode."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from stream_processor.cli.output import note, visible_lines

if TYPE_CHECKING:
    from stream_processor.runtime.config_loader import LoadedPipeline


def load(path: Path | None, overrides: Mapping[str, str]) -> LoadedPipeline:
    """The checked pipeline; warnings go to stderr. Starts nothing, also not in local mode.

    Called by every verb. Raises `ConfigurationError`.
    """
    from stream_processor.runtime.config_loader import load_pipeline
    from stream_processor.runtime.config_problems import render

    loaded = load_pipeline(path, environment=environment_of(path), overrides=overrides)
    if loaded.warnings:
        for line in visible_lines(render(loaded.warnings)):
            note(line)
    return loaded


def environment_of(path: Path | None) -> Mapping[str, str]:
    """The variables with which a pipeline file is read: in local mode those of the local mode."""
    from stream_processor.operations.local_mode import variables

    return variables(os.environ) if is_local(path) else os.environ


def is_local(path: Path | None) -> bool:
    """Whether nothing was named, neither a file nor a Kafka: the local mode is meant.

    Raises `ConfigurationError` when it is not allowed, or only half of a Kafka is named.
    """
    from stream_processor.runtime.config_mode import Mode, default_mode

    return path is None and default_mode(os.environ) is Mode.LOCAL
