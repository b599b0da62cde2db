"""The example in examples/orders says what it seems to say."""

from __future__ import annotations

from pathlib import Path

from stream_processor.operations.try_payloads import plan_of_schema, raw_events, verdicts
from stream_processor.runtime.config_loader import load_schema
from tests.unit.runtime.manual_clock import ManualClock

EXAMPLE = Path(__file__).resolve().parents[3] / "examples/orders"


def test_the_example_events_become_what_their_reader_expects() -> None:
    """A first look at the product must show rows, a rescued field, and four ways to break."""
    plan = plan_of_schema(load_schema(EXAMPLE / "schema.yaml"))
    with (EXAMPLE / "events.jsonl").open("rb") as stream:
        answers = [
            each for some in verdicts(raw_events(stream), plan, ManualClock()) for each in some
        ]
    rows = [each["row"] for each in answers if "row" in each]
    dead = [each["dead_letter"] for each in answers if "dead_letter" in each]
    assert [(row["order_id"], row["amount"], row["customer_id"]) for row in rows] == [
        ("O-1001", "12.50", "C-17"),
        ("O-1002", "99.00", "C-18"),
        ("O-1003", "3.10", None),
    ]
    assert '"customer":"walk-in"' in rows[2]["_rescued"]
    assert [(each["code"], each["field_path"]) for each in dead] == [
        ("field.type", "amount"),
        ("field.enum", "currency"),
        ("field.missing", "order_id"),
        ("json.syntax", None),
    ]
