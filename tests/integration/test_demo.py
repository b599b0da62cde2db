"""The demo and the local mode, whole, on the Kafka that they bring along."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from stream_processor.errors import Unavailable
from stream_processor.operations.assemble import Environment, RunTerms
from stream_processor.operations.demo import DemoRequest, demo
from stream_processor.operations.demo_report import DemoReport, Stopped
from stream_processor.operations.kafka_readers import Silent
from stream_processor.operations.local_mode import built_in_kafka, running
from stream_processor.operations.run import RunRequest, run
from stream_processor.operations.snapshots import open_data, tables_of
from stream_processor.operations.verify import verify
from stream_processor.ports import Decisions
from stream_processor.runtime.clock import SystemClock
from stream_processor.runtime.config_loader import load_pipeline
from tests.audit import Tables, audit
from tests.crash.world import wait_until

pytestmark = pytest.mark.stack

EVENTS = 4_000


def finished(folder: Path, events: int = EVENTS) -> DemoReport:
    report = demo(DemoRequest(folder, events), threading.Event())
    assert isinstance(report, DemoReport)
    return report


def audited(folder: Path) -> int:
    """How many offsets the independent audit accounts for."""
    tables = Tables("orders", str(folder / "orders"), str(folder / "orders__dlq"))
    return sum(account.upto - account.start for account in audit(tables).values())


def test_the_demo_runs_twice_and_continues(tmp_path: Path) -> None:
    """It is the first promise that a newcomer tries: rows, dead letters, proof, and again."""
    folder = tmp_path / "lake house é"  # people's folders have such names
    first = finished(folder)
    assert first.rows + first.dead_letters == first.made == EVENTS
    assert first.clean
    assert not first.continued
    assert len(first.causes) >= 8
    assert all(cause.example is not None for cause in first.causes)
    assert audited(folder) == EVENTS

    second = finished(folder)
    assert second.rows + second.dead_letters == EVENTS
    assert second.clean
    assert second.continued
    assert second.waiting == 0
    assert second.totals.rows == first.rows + second.rows
    assert f"{2 * EVENTS:,} offsets" in second.totals.conclusion
    assert "0 lost, 0 double" in second.totals.conclusion
    assert audited(folder) == 2 * EVENTS


def test_a_demo_that_is_stopped_leaves_nothing_behind_and_is_continued(tmp_path: Path) -> None:
    """Ctrl-C at any time must cost nothing: no server, no lost event, no broken folder."""
    folder = tmp_path / "lakehouse"
    stop = threading.Event()
    # Set while it makes events or writes tables: which of them, it must not matter.
    kafka_is_up = folder / ".kafka" / "data"

    def stop_soon() -> None:
        try:
            wait_until(lambda: any(kafka_is_up.glob("orders-*")), "Kafka made no topic")
        finally:
            stop.set()

    stopper = threading.Thread(target=stop_soon)
    stopper.start()
    report = demo(DemoRequest(folder, 200_000), stop)
    stopper.join()
    assert isinstance(report, Stopped)
    after = finished(folder)  # would be refused if Kafka still ran
    assert after.clean
    assert after.rows + after.dead_letters == after.made + after.waiting
    assert audited(folder) == after.totals.rows + after.totals.dead_letters


def test_a_second_demo_at_the_same_time_is_refused_in_one_sentence(tmp_path: Path) -> None:
    """Two Kafkas on one folder would destroy it."""
    folder = tmp_path / "lakehouse"
    with (
        built_in_kafka(str(folder)),
        pytest.raises(Unavailable, match="A server is running on") as refused,
    ):
        finished(folder)
    assert refused.value.hint


def test_the_local_mode_streams_and_continues(tmp_path: Path) -> None:
    """Started again it goes on: same table, new order numbers, every offset accounted for."""
    environment = {"LAKEHOUSE": str(tmp_path / "lakehouse")}
    for _ in range(2):
        stop = threading.Event()
        with running(environment, stop) as names:
            loaded = load_pipeline(
                None, environment=names, overrides={"sink.delta.commit.every": "500ms"}
            )
            until = RunRequest(RunTerms(Decisions(), records_max=300), seconds_max=60)
            done = run(
                loaded.pipeline,
                loaded.schema_file,
                until,
                Environment(Silent(), SystemClock(), stop),
            )
        assert done >= 300
    tables = tables_of(loaded.pipeline)
    assert verify(tables).clean
    numbers = open_data(tables).table.to_pyarrow_table(columns=["order_id"])["order_id"].to_pylist()
    assert len(set(numbers)) == len(numbers) > 500
