"""Notices that a person has changed the files of a run that waits for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from stream_processor.errors import ConfigurationError

if TYPE_CHECKING:
    from stream_processor.runtime.config_loader import LoadedPipeline

_LOOK_SECONDS = 1.0

Signature = tuple[tuple[int, int, int] | None, ...]


@dataclass(slots=True)
class ChangedFiles:
    """Asked again and again while the breaker holds a run; looks at the disk once a second.

    `load` reads the files anew. A file that is wrong is told with `refused`, once for each change,
    and changes nothing. `found` is what a good change made of them; whoever runs goes on with it.
    """

    now: LoadedPipeline
    load: Callable[[], LoadedPipeline]
    refused: Callable[[str], None]
    found: LoadedPipeline | None = None
    _seen: Signature = field(init=False)
    _looked: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._seen = _signature(self.now)

    def __call__(self) -> bool:
        """Whether the run shall end, to begin again with `found`."""
        if self.found is None and time.monotonic() - self._looked >= _LOOK_SECONDS:
            self._looked = time.monotonic()
            self._look()
        return self.found is not None

    def changed(self) -> ChangedFiles | None:
        """The same for the files that were found; None where there was no change."""
        return ChangedFiles(self.found, self.load, self.refused) if self.found else None

    def _look(self) -> None:
        signature = _signature(self.now)
        if signature == self._seen:
            return
        self._seen = signature
        try:
            self.found = self.load()
        except ConfigurationError as error:
            self.refused(error.message)


def _signature(loaded: LoadedPipeline) -> Signature:
    """Changes when a file is written again or replaced; None while there is none."""
    return tuple(_of(path) for path in (loaded.path, loaded.schema_path))


def _of(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
