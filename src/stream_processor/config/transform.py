"""The steps of `transform` in the pipeline file."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr

from stream_processor.config.model import Model
from stream_processor.config.values import Text

VERBS = ("filter", "derive", "rename", "drop", "mask", "python")
"""The keys of which a step has one."""


class TransformStep(Model):
    """One step: it has exactly one of the keys below, and `mask` its `key`."""

    filter: Text | None = None
    """Condition in SQL. Rows for which it is not true are left out, and counted as skipped."""
    derive: dict[str, Text] = Field(default_factory=dict)
    """Columns and the SQL expressions that give them, all of the columns before the step."""
    rename: dict[str, Text] = Field(default_factory=dict)
    """Columns and their new names."""
    drop: tuple[Text, ...] = ()
    """Columns that do not reach the table."""
    mask: dict[str, Literal["sha256", "redact"]] = Field(default_factory=dict)
    """Columns and how they are hidden: `sha256` by a keyed hash, which joins like the value did;
    `redact` whole: text becomes `***`, anything else null."""
    key: SecretStr | None = None
    """The key of `mask` with `sha256`: at least 16 bytes in a file, `${file:/run/secrets/mask}`."""
    python: Text | None = None
    """`module:function` beside the pipeline file: an Arrow record batch in, one out, a row each."""

    @property
    def verbs(self) -> tuple[str, ...]:
        """Those of `VERBS` that are set."""
        return tuple(name for name in VERBS if getattr(self, name))
