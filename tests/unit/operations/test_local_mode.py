"""The local mode without its Kafka: what it says, and where its files are."""

from __future__ import annotations

from pathlib import Path

from stream_processor.operations.demo_report import (
    Cause,
    DemoReport,
    Example,
    Places,
    Stopped,
    Totals,
)
from stream_processor.operations.local_mode import first_line, kafka_folder, variables

REPORT = DemoReport(
    made=1000,
    waiting=0,
    rows=998,
    causes=(
        Cause("parse", "json.syntax", 1, Example("orders", 2, 17, "not JSON", '{"order_id":')),
        Cause("decode", "record.tombstone", 1, Example("orders", 0, 3, "no value", None)),
    ),
    seconds=2.0,
    totals=Totals(998, 2, clean=True, conclusion="1,000 offsets: 998 rows, 2 dead letters"),
    places=Places("lakehouse/orders", "lakehouse/orders__dlq", "lakehouse/.kafka"),
)


def test_the_first_line_says_that_nothing_is_real() -> None:
    """Whoever forgot a variable must see at once that these are not their events."""
    assert first_line({}) == "LOCAL: built-in Kafka, invented orders, tables in ./lakehouse"
    assert first_line({"LAKEHOUSE": "/data/lake"}).endswith("tables in /data/lake")


def test_kafka_moves_with_its_tables() -> None:
    """Its offsets mean nothing to other tables: they would look like a table that was replaced."""
    assert kafka_folder("./lakehouse") == Path("lakehouse/.kafka")
    assert kafka_folder("/data/lake") == Path("/data/lake/.kafka")
    one, other = kafka_folder("s3://bucket/one"), kafka_folder("s3://bucket/other")
    assert one != other
    assert one.parent == other.parent == Path("lakehouse")


def test_other_verbs_find_the_built_in_kafka_where_it_listened_last(tmp_path: Path) -> None:
    """`status` beside a local run must see the lag, without starting anything."""
    environment = {"LAKEHOUSE": str(tmp_path), "HOME": "/home/someone"}
    assert variables(environment)["KAFKA_BOOTSTRAP_SERVERS"] == "127.0.0.1:9"
    (tmp_path / ".kafka").mkdir()
    (tmp_path / ".kafka" / "ports.json").write_text("[23456, 23457]")
    assert variables(environment) == {
        **environment,
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:23456",
        "KAFKA_TOPICS": "orders",
    }


def test_the_report_tells_numbers_examples_proof_and_places() -> None:
    """It is the first thing that anybody sees of the product."""
    text = REPORT.text
    assert text.startswith("1,000 events in 2.0 s (500 a second): 998 rows, 2 dead letters\n")
    assert 'orders[2]@17: not JSON\n           {"order_id":' in text
    assert "(no value)" in text
    assert "verify       1,000 offsets: 998 rows, 2 dead letters\n" in text
    assert "lakehouse/orders__dlq" in text
    assert "Continued" not in text


def test_a_later_run_says_that_it_continued() -> None:
    """A second demo adds to the tables: its own numbers must not be taken for the totals."""
    totals = Totals(2994, 6, clean=True, conclusion="3,000 offsets")
    later = DemoReport(
        made=1000, waiting=0, rows=998, causes=REPORT.causes, seconds=1.0, totals=totals,
        places=REPORT.places,
    )  # fmt: skip
    assert later.continued
    assert later.text.startswith("Continued where the last run ended, after 2,000 events.\n")
    assert "In the tables now: 2,994 rows, 6 dead letters" in later.text
    assert later.as_json()["events_per_second"] == 1000


def test_a_stopped_demo_is_no_finding() -> None:
    """Ctrl-C is not a failure; the next run continues."""
    stopped = Stopped(20_000)
    assert stopped.clean
    assert stopped.text == "Stopped after 20,000 events; the next run continues there."
