"""Rows that the table itself refuses become dead letters, in the order of their events."""

from __future__ import annotations

from stream_processor.processor.kernel import process
from stream_processor.processor.table_rules import without_broken
from stream_processor.schema.table_rules import Broken
from tests.builders import STAMP, plan, raw_batch

FIELDS = [{"name": "id", "type": "long", "required": True}]
CHECK = Broken(None, "small", "id < 3")


def test_each_event_stays_in_exactly_one_place() -> None:
    """The law of conservation is checked behind this, and a wrong move would stop the stream."""
    events = raw_batch([b'{"id": 1}', b"{", b'{"id": 7}', b'{"id": 2}', b"[]", b'{"id": 9}'])
    rules = plan(FIELDS)
    done = process(events, rules, STAMP)
    moved = without_broken(
        done, {1: CHECK, 3: Broken("id", "id", "NOT NULL")}, events, rules, STAMP
    )
    assert moved.valid["id"].to_pylist() == [1, 2]
    assert moved.dead["offset"].to_pylist() == [1, 2, 4, 5]
    codes = ["json.syntax", "write.constraint", "json.not_object", "write.constraint"]
    assert moved.dead["code"].to_pylist() == codes
    assert moved.dead["value"].to_pylist()[1] == b'{"id": 7}'
    letter = moved.dead.to_pylist()[1]
    assert (letter["stage"], letter["field_path"], letter["expected"]) == ("write", None, "id < 3")
    assert letter["message"] == "the table's own constraint small does not hold: id < 3"
    assert moved.dead["field_path"].to_pylist()[3] == "id"


def test_without_any_nothing_is_touched() -> None:
    """Nearly every batch of nearly every table."""
    events = raw_batch([b'{"id": 1}'])
    rules = plan(FIELDS)
    done = process(events, rules, STAMP)
    assert without_broken(done, {}, events, rules, STAMP) is done
