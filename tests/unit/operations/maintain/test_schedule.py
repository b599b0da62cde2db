"""The stream keeps its own tables, and nothing that goes wrong there reaches it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from deltalake import DeltaTable

from stream_processor.operations.assemble import Environment
from stream_processor.operations.kafka_readers import Silent
from stream_processor.operations.maintain.schedule import scheduled
from stream_processor.runtime.clock import SystemClock
from tests.unit.operations.maintain.world import Tended

PATIENCE_SECONDS = 30
EVERY_SECOND = "maintenance: {enabled: true, every: 1s, steps: [fold, compact]}\n"


class Heard(Silent):
    """Remembers the first event."""

    def __init__(self) -> None:
        self.heard = threading.Event()
        self.names: list[str] = []

    def event(self, name: str, **fields: object) -> None:
        self.names.append(name)
        self.heard.set()


def during(world: Tended) -> list[str]:
    """What the observer hears of the first maintenance that says anything."""
    loaded, heard = world.loaded(), Heard()
    environment = Environment(heard, SystemClock(), threading.Event())
    with scheduled(loaded.pipeline, loaded.schema_file, environment):
        assert heard.heard.wait(PATIENCE_SECONDS)
    assert not [each for each in threading.enumerate() if each.name == "maintain"]
    return heard.names


def test_small_files_are_joined_now_and_then(tmp_path: Path) -> None:
    """Nobody has to set up a timer."""
    world = Tended(tmp_path, EVERY_SECOND)
    world.busy(9)
    assert set(during(world)) == {"maintained"}
    assert len(DeltaTable(world.tables.data).file_uris()) == 1
    world.busy(1)
    world.prove()


def test_a_failure_is_told_and_kept_away(tmp_path: Path) -> None:
    """A store that does not let us delete must not cost the stream anything."""
    world = Tended(tmp_path, EVERY_SECOND)
    world.busy(1)
    DeltaTable(world.tables.data).restore(2)
    assert set(during(world)) == {"maintenance_failed"}


def test_nothing_runs_where_the_file_does_not_say_so(tmp_path: Path) -> None:
    """It deletes files, so it begins when a person has said it."""
    world = Tended(tmp_path)
    loaded = world.loaded()
    environment = Environment(Heard(), SystemClock(), threading.Event())
    with scheduled(loaded.pipeline, loaded.schema_file, environment):
        assert not [each for each in threading.enumerate() if each.name == "maintain"]


@pytest.mark.parametrize("wrong", ["every: 0s", "every: 8d", "max_bytes: 0B", "steps: [all]"])
def test_a_wrong_setting_is_told(tmp_path: Path, wrong: str) -> None:
    """With its line, before anything is started."""
    world = Tended(tmp_path, f"maintenance: {{enabled: true, {wrong}}}\n")
    assert world.run_cli("dlq", "list") == 2
