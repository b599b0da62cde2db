"""A dead letter is complete: it says what, where, why and by which rules, and shows no more."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest

from stream_processor.processor.kernel import Processed, process
from stream_processor.schema import records
from tests import builders

GOOD = (
    b'{"order_id":"o-1","amount":"1.50","currency":"EUR","created_at":"2026-11-23T10:00:00Z"'
    b',"customer_id":"c-1"}'
)


def letter(value: bytes | None, fields: Any = builders.ORDERS, **options: Any) -> dict[str, Any]:
    (found,) = builders.judge([value], builders.plan(fields, **options)).dead.to_pylist()
    assert isinstance(found, dict)
    return found


def test_every_column_is_filled() -> None:
    """The person on call has this row and nothing else."""
    value = GOOD.replace(b"1.50", b"1.505")
    plan = builders.plan(app_version="1.2", engine="embedded")
    (found,) = builders.judge([value], plan).dead.to_pylist()
    problem = {
        "code": "field.range",
        "field_path": "amount",
        "expected": "decimal(12,2)",
        "actual": '"1.505"',
    }
    assert found == {
        "dlq_id": hashlib.sha256(b"test\0topic-id-1\x000\x000").hexdigest()[:32],
        "failed_at": datetime(2023, 11, 14, 22, 13, 20, 500_000, UTC),
        "failed_date": date(2023, 11, 14),
        "pipeline": "test",
        "schema_version": "1",
        "schema_hash": plan.schema.schema_hash,
        "app_version": "1.2",
        "engine": "embedded",
        "stage": "validate",
        **problem,
        "problems": [problem],
        "message": 'amount is not decimal(12,2): `"1.505"`',
        "fingerprint": found["fingerprint"],
        "fingerprint_version": 1,
        "topic": "orders",
        "topic_id": "topic-id-1",
        "partition": 0,
        "offset": 0,
        "kafka_timestamp": datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
        "timestamp_type": 1,
        "key": b"key-0",
        "value": value,
        "value_size": len(value),
        "value_sha256": hashlib.sha256(value).hexdigest(),
        "value_truncated": False,
        "headers": [{"name": "trace", "value": b"0"}],
        "value_preview": value.decode(),
        "detail_sampled": False,
    }


def test_all_failing_fields_are_listed_and_the_first_one_decides() -> None:
    """Mending one field at a time would take one replay per field."""
    found = letter(b'{"amount":-1,"currency":"X","created_at":null,"customer_id":[]}')
    assert [(one["code"], one["field_path"]) for one in found["problems"]] == [
        ("field.missing", "order_id"),
        ("field.range", "amount"),
        ("field.enum", "currency"),
        ("field.null", "created_at"),
        ("field.type", "customer_id"),
    ]
    assert (found["code"], found["field_path"]) == ("field.missing", "order_id")


def test_a_list_of_problems_ends_somewhere() -> None:
    """Otherwise one record could make a row larger than itself."""
    value = b"{" + b",".join(b'"%d":0' % at for at in range(5_000)) + b"}"
    found = letter(value, [{"name": "a", "type": "int"}], unknown_fields="reject")
    assert len(found["problems"]) == 1_000
    assert found["code"] == "field.unknown"


def test_a_large_value_is_cut_and_says_so() -> None:
    """Evidence must not cost more than what it is evidence of."""
    value = b'{"order_id":"' + b"x" * 200_000 + b'"}'
    found = letter(value, max_record_bytes=100_000)
    assert found["code"] == "record.too_large"
    assert found["value"] == value[: 64 * 1024]
    assert found["value_truncated"] is True
    assert found["value_size"] == len(value)
    assert found["value_sha256"] == hashlib.sha256(value).hexdigest()
    assert len(found["value_preview"]) == 2_048


def test_a_tombstone_has_no_value_to_describe() -> None:
    """Null is different from empty."""
    found = letter(None)
    assert found["code"] == "record.tombstone"
    assert found["value"] is found["value_size"] is found["value_sha256"] is None
    assert found["value_preview"] is None
    assert found["value_truncated"] is False
    assert letter(b"")["value_size"] == 0


def never_fetched(**options: Any) -> Processed:
    """What the kernel makes of a record of which only the offset is known, and of a tombstone."""
    raw = builders.raw_batch([None, None])
    types = pa.array([records.NOT_FETCHED, 1], pa.int8())
    raw = raw.set_column(raw.schema.get_field_index("timestamp_type"), "timestamp_type", types)
    return process(raw.cast(records.RAW), builders.plan(**options), builders.STAMP)


def test_a_record_that_could_not_be_fetched_is_no_tombstone() -> None:
    """Its null value means that we have not seen it: taken for a tombstone it would be a deletion,
    or be skipped in silence."""
    found, tombstone = never_fetched().dead.to_pylist()
    assert (found["stage"], found["code"]) == ("decode", "record.too_large")
    assert found["value"] is found["value_size"] is found["value_sha256"] is None
    assert found["value_truncated"] is True
    assert found["timestamp_type"] is found["value_preview"] is None
    assert "fetch" in found["message"]
    assert (tombstone["code"], tombstone["value_truncated"]) == ("record.tombstone", False)


def test_a_record_that_could_not_be_fetched_is_not_skipped_as_a_tombstone() -> None:
    """`tombstone: skip` is a word about tombstones."""
    processed = never_fetched(tombstone="skip")
    assert [one["code"] for one in processed.dead.to_pylist()] == ["record.too_large"]
    assert processed.skipped.column("offset").to_pylist() == [1]


def test_what_was_found_is_shortened_between_letters() -> None:
    """Half a letter would be broken text in the table."""
    found = letter(b'{"order_id":["' + "ž".encode() * 500 + b'"]}')
    assert len(found["actual"].encode()) <= 200
    assert found["actual"].startswith('["žž')


@pytest.mark.parametrize(
    ("field", "token", "expected"),
    [
        (
            {"type": "timestamp", "minimum": "2026-01-01T00:00:00+01:00"},
            '"2025-01-01T00:00:00Z"',
            "at least 2025-12-31T23:00:00Z",
        ),
        ({"type": "date", "maximum": "2026-01-31"}, '"2026-02-01"', "at most 2026-01-31"),
        ({"type": "date", "enum": ["2026-01-31"]}, '"2026-02-01"', "one of 2026-01-31"),
        ({"type": "string", "enum": ["a", "b"]}, '"c"', "one of a, b"),
        ({"type": "string", "pattern": "[0-9]+"}, '"c"', "text that matches [0-9]+"),
        ({"type": "decimal(4,2)", "minimum": "0.50"}, "0.49", "at least 0.5"),
        ({"type": "boolean", "enum": [True]}, "false", "one of true"),
    ],
)  # fmt: skip  # one row per rule
def test_what_was_expected_is_said_in_the_words_of_the_schema(
    field: dict[str, Any], token: str, expected: str
) -> None:
    """A bound in microseconds since 1970 helps nobody at night."""
    found = letter(b'{"a":%s}' % token.encode(), [{"name": "a", **field}])
    assert expected in found["expected"]
    assert found["actual"] == token


@pytest.mark.parametrize("broken", [b"", b"}", b"]", b"\xff", b'","created_at":0'])
def test_masked_values_are_nowhere(broken: bytes) -> None:
    """A secret in one event must not become readable by everybody who may read the dead letters."""
    secret = b"4111-1111"
    fields = [
        {"name": "id", "type": "long", "required": True},
        {"name": "card", "type": "int", "from": "payment.card"},
        {"name": "a", "type": "int", "from": "payment"},
    ]
    value = b'{"payment":{"x":[1],"card":"%s"%s},"id":"q"}' % (secret, broken)
    found = letter(value, fields, preview_mask=("payment.card",))
    found.pop("value")
    assert secret.decode() not in repr(found)
    assert "4111" not in repr(found)


def test_masking_leaves_the_rest_readable() -> None:
    """A preview that hides everything is no help."""
    value = b'{"id":1,"card":{"n":[1,{"c":2}]},"items":[{"pin":7,"q":1},{"pin":"8","q":2}],"z":0'
    found = letter(
        value + b"}", [{"name": "z", "type": "boolean"}], preview_mask=("card", "items.pin")
    )
    assert found["value_preview"] == (
        '{"id":1,"card":***,"items":[{"pin":***,"q":1},{"pin":***,"q":2}],"z":0}'
    )


@pytest.mark.parametrize(
    ("value", "code", "place"),
    [
        (b'{"a":1,}', "json.syntax", 7),
        (b'{"a":01}', "json.syntax", 6),
        (b'{"a":"\x01"}', "json.syntax", 6),
        (b'{"a":"\\ud83d"}', "json.syntax", 6),
        (b'{"a":"\\\\\\ud83d"}', "json.syntax", 8),
        (b'{"a":1', "json.syntax", 6),
        (b'{"a":1}x', "json.syntax", 7),
        (b'{"a":"\xff"}', "encoding.utf8", 6),
        (b'{"a":' + b"[" * 128, "json.too_deep", 132),
        (b'{"[[[":"]]]' + b"[" * 200 + b'","a":' + b"[" * 128, "json.too_deep", 344),
    ],
)
def test_broken_text_is_located(value: bytes, code: str, place: int) -> None:
    """The byte is what one looks for in a hex dump."""
    found = letter(value)
    assert found["code"] == code
    assert found["message"].endswith(f"at byte {place}")


def test_messages_never_repeat_the_payload() -> None:
    """They are copied into logs and tickets."""
    long = b"secret" * 200
    for value in (b'{"a":"' + long, long, b'{"order_id":["' + long + b'"]}', b"\xff" + long):
        assert len(letter(value)["message"]) < 200


def test_one_cause_has_one_fingerprint() -> None:
    """Ten million dead letters are worked off by their causes."""
    bad = [GOOD.replace(b"1.50", text) for text in (b"x", b"y7", b"2026-11-23", b"a@b.cz")]
    prints = {letter(value)["fingerprint"] for value in bad}
    assert len(prints) == 1
    cut = {letter(GOOD[:at])["fingerprint"] for at in (20, 40, 60)}
    assert len(cut) == 1
    other = letter(GOOD.replace(b'"EUR"', b'"x"'))["fingerprint"]
    assert len(prints | cut | {other}) == 3


def test_ids_tell_events_and_pipelines_apart() -> None:
    """Replay finds its dead letters by them, also after the topic was created again."""
    both = builders.judge([b"x", b"x"], builders.plan()).dead.column("dlq_id").to_pylist()
    other = builders.judge([b"x"], builders.plan(pipeline_id="other")).dead
    assert len({*both, *other.column("dlq_id").to_pylist()}) == 3
