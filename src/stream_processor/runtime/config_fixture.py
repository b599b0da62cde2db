"""Reads fixture files, strictly: everything wrong is reported at once, each with its place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from stream_processor.config.findings import Finding
from stream_processor.config.fixture import FixtureFile
from stream_processor.runtime.config_loader import read_file
from stream_processor.runtime.config_problems import InvalidConfiguration, has_errors
from stream_processor.runtime.config_validation import add_finding, validate
from stream_processor.runtime.config_yaml import Document


@dataclass(frozen=True, slots=True)
class LoadedFixture:
    """A fixture file, checked by itself. Made by `load_fixture`.

    References (`${...}`) are not resolved: an event may hold what looks like one.
    """

    path: Path
    file: FixtureFile
    document: Document = field(repr=False)

    def refuse(self, findings: Iterable[Finding]) -> None:
        """Raise `InvalidConfiguration` with the places of what somebody else found wrong, if any.

        Called by `operations.fixtures`, which knows the columns that may be expected.
        """
        for finding in findings:
            add_finding(self.document, (), finding)
        if has_errors(self.document.problems):
            raise InvalidConfiguration(self.document.problems)


def load_fixture(path: Path) -> LoadedFixture:
    """Read and check one fixture file. Called by `test`. Raises `InvalidConfiguration`."""
    document = read_file(path)
    file = validate(document, FixtureFile)
    if file is None:
        raise InvalidConfiguration(document.problems)
    return LoadedFixture(path, file, document)
