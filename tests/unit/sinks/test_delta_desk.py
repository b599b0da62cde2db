"""Jobs that move dead letters take turns at one desk, and never hinder the stream."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream_processor.errors import Fenced
from stream_processor.operations.assemble import desk, plan_of
from stream_processor.sinks.delta_desk import Desk
from stream_processor.sinks.delta_predicates import is_number
from tests.letters import Letters, broken, good


def at_desk(made: Letters, run_id: str) -> Desk:
    loaded = made.loaded()
    return desk(loaded.pipeline, plan_of(loaded.pipeline, loaded.schema_file), run_id)


def test_the_newer_job_has_the_desk(tmp_path: Path) -> None:
    """Two replays that both believe to be alone would write the same records twice."""
    made = Letters(tmp_path)
    made.stream(good(0), broken(1))
    first, second = at_desk(made, "r-1"), at_desk(made, "r-2")
    assert first.claim("replay") == 0
    first.write(None, {"kind": "replay"})
    assert second.claim("replay") == 2
    with pytest.raises(Fenced, match="has the desk now"):
        first.write(None, {"kind": "replay"})
    second.write(None, {"kind": "replay"})
    assert second.number == 4


def test_a_stream_and_a_job_do_not_disturb_each_other(tmp_path: Path) -> None:
    """Replay runs beside the stream: neither may cost the other a commit."""
    made = Letters(tmp_path)
    made.stream(good(0), broken(1))
    job = at_desk(made, "r-1")
    job.claim("replay")
    made.stream(good(2))
    job.write(None, {"kind": "replay"})
    made.stream(good(3))
    job.write(None, {"kind": "replay"})
    report = made.verify()
    assert report.clean
    assert [row["order_id"] for row in made.rows()] == ["O-0", "O-2", "O-3"]


def test_a_removal_goes_on_at_the_head_while_the_desk_is_ours(tmp_path: Path) -> None:
    """Rows that the stream adds meanwhile would abort every removal; a newer job must still win."""
    made = Letters(tmp_path)
    made.stream(good(0), broken(1))
    job = at_desk(made, "r-1")
    job.claim("erase")
    made.stream(good(2))
    with pytest.raises(Fenced):
        at_desk(made, "r-0").renew()
    job.renew()
    job.remove(is_number("_kafka_offset", 0), {"kind": "erase"})
    assert [row["order_id"] for row in made.rows()] == ["O-2"]
    made.stream(good(3))
    at_desk(made, "r-2").claim("purge")
    with pytest.raises(Fenced, match="has the desk now"):
        job.renew()
