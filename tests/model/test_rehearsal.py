"""The sinks do what the model says of them: a proof about something else would prove nothing."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.audit import Tables, audit
from tests.contracts.sink_adapters import delta_tables, memory_tables
from tests.model.rehearsal import Rehearsal


def test_memory_sinks_follow_the_model_anywhere() -> None:
    """Two writers, any interleaving: accepted where the model accepts, refused where it refuses."""
    refused = 0
    for seed in range(150):
        rehearsal = Rehearsal(memory_tables(), random.Random(seed))
        rehearsal.take(60)
        refused += rehearsal.refused
    assert refused > 150


@pytest.mark.parametrize("seed", range(4))
def test_delta_sinks_follow_the_model_anywhere(tmp_path: Path, seed: int) -> None:
    """The same with the real library, whose conflict check the model takes for granted."""
    rehearsal = Rehearsal(delta_tables(str(tmp_path)), random.Random(seed))
    rehearsal.take(60)
    assert rehearsal.refused > 0
    audit(Tables("pipe", str(tmp_path / "data"), str(tmp_path / "dead_letters")))
