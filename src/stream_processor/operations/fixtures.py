"""`test`: runs fixture files against the kernel, without any server.

The idea of fixtures beside the configuration, with a pinned clock and a match by subset, is that
of several pipeline tools; here the dead letters are part of what is expected.
"""

from __future__ import annotations

import base64
import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from stream_processor.config.findings import Finding
from stream_processor.config.fixture import FixtureEvent, FixtureExpectation, FixtureFile
from stream_processor.errors import ConfigurationError
from stream_processor.operations.assemble import plan_of
from stream_processor.operations.fixture_differences import Difference, Outputs, differences
from stream_processor.operations.fixture_values import column_value, json_bytes
from stream_processor.operations.local_mode import variables
from stream_processor.operations.try_payloads import Event, plan_of_schema, raw_batch
from stream_processor.ports import Clock
from stream_processor.processor.kernel import process
from stream_processor.processor.plan import Plan, Stamp
from stream_processor.runtime.config_fixture import LoadedFixture, load_fixture
from stream_processor.runtime.config_loader import default_file, load_pipeline, load_schema
from stream_processor.schema import records

BESIDE = ("tests.yaml", "*.test.yaml")
"""The names of fixture files that are found beside a pipeline file."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one test; it has passed when there are no differences."""

    name: str
    rows: int
    dead_letters: int
    skipped: int
    differences: tuple[Difference, ...]

    @property
    def passed(self) -> bool:
        """Whether everything is as expected."""
        return not self.differences


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """What became of the tests of one file."""

    path: Path
    tests: tuple[Outcome, ...]

    def as_json(self) -> dict[str, Any]:
        """For `test --json`."""
        tests = [{**asdict(each), "passed": each.passed} for each in self.tests]
        return {"file": str(self.path), "tests": tests}


def fixtures_beside(pipeline: Path | None) -> list[Path]:
    """The fixture files in the folder of a pipeline file, the built-in one if None.

    Raises `ConfigurationError` when there are none.
    """
    folder = (pipeline or default_file()).parent
    found = sorted({path for pattern in BESIDE for path in folder.glob(pattern)})
    if not found:
        raise ConfigurationError(
            f"there is no {' and no '.join(BESIDE)} in {folder}",
            hint="name the fixture files, or make one of a dead letter: "
            "`dlq export ID --format fixture --output my.test.yaml`",
        )
    return found


def run_fixture(path: Path, pipeline: Path | None, clock: Clock) -> FileOutcome:
    """Judge the events of one fixture file by its pipeline file, or by the one that is given.

    Raises `InvalidConfiguration` for a file that is wrong, with all places.
    """
    fixture = load_fixture(path)
    plan = _plan(fixture, pipeline)
    fixture.refuse(_unknown_or_wrong(fixture.file, plan))
    pinned = fixture.file.clock
    now = datetime.fromisoformat(pinned).timestamp() if pinned else clock.now()
    outcomes = []
    for test in fixture.file.tests:
        found = _judged([_event(each) for each in test.input], plan, Stamp.at(now))
        unequal = differences(_expected(test.expect, plan), found, test.expect.match)
        counts = len(found.rows), len(found.dlq), len(found.skipped)
        outcomes.append(Outcome(test.name, *counts, tuple(unequal)))
    return FileOutcome(path, tuple(outcomes))


def _plan(fixture: LoadedFixture, pipeline: Path | None) -> Plan:
    file, folder = fixture.file, fixture.path.parent
    if pipeline is None and file.schema_ is not None:
        return plan_of_schema(load_schema(folder / file.schema_))
    if pipeline is None and file.pipeline is not None:
        pipeline = folder / file.pipeline
    # Nobody is asked: where no Kafka is named, the names of the local mode stand in for it.
    environment = {**variables({}), **os.environ, **file.environment}
    loaded = load_pipeline(pipeline, environment=environment, overrides={})
    return plan_of(loaded.pipeline, loaded.schema_file)


def _event(given: FixtureEvent) -> Event:
    value = given.value_base64
    if value is not None:
        content: bytes | None = base64.b64decode(value)
    else:
        content = None if given.value is None else json_bytes(given.value)
    headers = given.headers
    return Event(
        content,
        _bytes(given.key, given.key_base64),
        None
        if headers is None
        else [(each.name, _bytes(each.value, each.value_base64)) for each in headers],
    )


def _bytes(text: str | None, encoded: str | None) -> bytes | None:
    if encoded is not None:
        return base64.b64decode(encoded)
    return None if text is None else text.encode()


def _judged(events: Sequence[Event], plan: Plan, stamp: Stamp) -> Outputs:
    done = process(raw_batch(events, 0), plan, stamp)
    rows, dlq, skipped = (part.to_pylist() for part in (done.valid, done.dead, done.skipped))
    return Outputs(rows, dlq, skipped, _columns(plan))


def _columns(plan: Plan) -> dict[str, str]:
    return {field.path_text: field.name for field in plan.schema.fields}


def _shapes(plan: Plan) -> Mapping[str, pa.Schema]:
    return {"rows": plan.table, "dlq": records.DEAD_LETTER, "skipped": records.SKIPPED}


def _expected(expect: FixtureExpectation, plan: Plan) -> Outputs:
    """What a fixture expects, as the columns hold it; all of it is known to be right."""
    rows, dlq, skipped = (
        [
            {name: column_value(value, shape.field(name).type) for name, value in record.items()}
            for record in getattr(expect, kind)
        ]
        for kind, shape in _shapes(plan).items()
    )
    return Outputs(rows, dlq, skipped, _columns(plan))


def _unknown_or_wrong(file: FixtureFile, plan: Plan) -> Iterator[Finding]:
    """What is expected of columns that there are not, or can never be in them."""
    for index, test in enumerate(file.tests):
        for kind, shape in _shapes(plan).items():
            for place, record in enumerate(getattr(test.expect, kind)):
                at = ("tests", index, "expect", kind, place)
                yield from _wrong_in(record, shape, at)


def _wrong_in(
    record: Mapping[str, Any], shape: pa.Schema, at: tuple[str | int, ...]
) -> Iterator[Finding]:
    for name, value in record.items():
        if name not in shape.names:
            near = difflib.get_close_matches(name, shape.names, n=1)
            hint = f'did you mean "{near[0]}"?' if near else f"columns: {', '.join(shape.names)}"
            yield Finding((*at, name), "there is no such column", hint)
            continue
        try:
            column_value(value, shape.field(name).type)
        except ValueError as error:
            yield Finding((*at, name), str(error))
