"""Each step of a transform against the plain Python that says the same."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from stream_processor.errors import ConfigurationError
from stream_processor.processor.transform import make_transform
from stream_processor.schema.steps import Derive, Drop, Filter, Hook, Mask, Rename, Step
from stream_processor.schema.table import table_schema
from tests import builders

KEY = b"0123456789abcdef"
EVENTS = [
    {"order_id": "a", "amount": 10, "currency": "EUR", "created_at": "2026-03-01T10:00:00Z"},
    {"order_id": "b", "amount": "99.99", "currency": "USD", "created_at": "2026-03-02T23:59:59Z",
     "customer_id": "c-1", "coupon": "X"},
    {"order_id": "7", "amount": "0.01", "created_at": "2026-03-02T00:00:00.5Z",
     "customer_id": "c-1"},
]  # fmt: skip  # one event after the other
VALUES = [json.dumps(event).encode() for event in EVENTS]


def rows(*steps: Step, **options: Any) -> list[dict[str, Any]]:
    done = builders.judge(VALUES, builders.plan(transform=steps, **options))
    done.valid.validate(full=True)
    return done.valid.to_pylist()


def column(name: str, *steps: Step, **options: Any) -> list[Any]:
    return [row[name] for row in rows(*steps, **options)]


def hook(function: Callable[[pa.RecordBatch], Any]) -> Hook:
    return Hook("hooks:function", "0" * 64, function)


def problem(step: Step, **options: Any) -> str:
    with pytest.raises(ConfigurationError) as raised:
        builders.plan(transform=(step,), **options)
    return raised.value.message


def test_a_filter_leaves_out_what_is_not_true_and_counts_it() -> None:
    """Left out rows must be counted, or `verify` would miss them; null is not true."""
    plan = builders.plan(transform=(Filter("currency <> 'USD'"),))
    done = builders.judge(VALUES, plan)
    assert done.valid.column("order_id").to_pylist() == ["a"]
    assert done.skipped.to_pylist() == [
        {"topic": "orders", "topic_id": "topic-id-1", "partition": 0, "offset": at,
         "reason": "filtered"} for at in (1, 2)
    ]  # fmt: skip  # one value


def test_skipped_events_of_both_reasons_keep_their_order() -> None:
    """The account of a partition is made in the order of its offsets."""
    plan = builders.plan(tombstone="skip", transform=(Filter("order_id <> 'b'"),))
    done = builders.judge([None, VALUES[1], None, VALUES[0], b"{"], plan)
    assert done.skipped.column("offset").to_pylist() == [0, 1, 2]
    assert done.skipped.column("reason").to_pylist() == ["tombstone", "filtered", "tombstone"]
    assert done.dead.column("offset").to_pylist() == [4]


def test_derived_columns_have_the_types_of_their_expressions() -> None:
    """The table is made from the plan, before the first event."""
    step = Derive(
        (
            ("gross", "CAST(amount * 1.19 AS DECIMAL(14,2))"),
            ("day", "CAST(created_at AS DATE)"),
            ("big", "amount > 50"),
            ("first", "left(order_id, 1)"),
            ("small", "CAST(1 AS TINYINT)"),
        )
    )
    plan = builders.plan(transform=(step,))
    found = {field.name: field.type for field in plan.table}
    assert list(found)[5:11] == ["gross", "day", "big", "first", "small", "_kafka_topic"]
    assert found["gross"] == pa.decimal128(14, 2)
    assert found["day"] == pa.date32()
    assert found["small"] == pa.int32()
    told = rows(step)
    assert [row["gross"] for row in told] == [Decimal("11.90"), Decimal("118.99"), Decimal("0.01")]
    assert told[1]["day"] == date(2026, 3, 2)
    assert [row["big"] for row in told] == [False, True, False]


def test_a_column_may_be_replaced_and_all_expressions_see_the_columns_before() -> None:
    """As in the list of a SELECT: the order of the lines in one step is of no importance."""
    step = Derive((("order_id", "upper(order_id)"), ("copy", "order_id")))
    told = rows(step)
    assert [(row["order_id"], row["copy"]) for row in told] == [("A", "a"), ("B", "b"), ("7", "7")]


def test_steps_see_what_the_steps_before_them_made() -> None:
    """A list of steps is read from the top."""
    steps = (
        Derive((("net", "amount - 1"),)),
        Rename((("net", "netto"),)),
        Filter("netto >= 9"),
        Drop(("amount", "customer_id")),
    )
    told = rows(*steps)
    assert [row["netto"] for row in told] == [Decimal("9.00"), Decimal("98.99")]
    assert "amount" not in told[0]


def test_names_can_be_exchanged_in_one_step() -> None:
    """All names of one step change at once."""
    told = rows(Rename((("order_id", "customer_id"), ("customer_id", "order_id"))))
    assert [(row["customer_id"], row["order_id"]) for row in told] == [
        ("a", None), ("b", "c-1"), ("7", "c-1")
    ]  # fmt: skip  # one value


def test_a_mask_by_hash_joins_and_a_redaction_hides() -> None:
    """Whoever has the key can find a person's rows; whoever has not learns nothing."""
    step = Mask((("customer_id", "sha256"), ("order_id", "redact"), ("amount", "redact")), KEY)
    told = rows(step)
    expected = hmac.new(KEY, b"c-1", hashlib.sha256).hexdigest()
    assert [row["customer_id"] for row in told] == [None, expected, expected]
    assert [row["order_id"] for row in told] == ["***"] * 3
    assert [row["amount"] for row in told] == [None] * 3
    assert KEY.decode() not in repr(builders.plan(transform=(step,)))


def test_numbers_and_keys_are_hashed_by_their_digits_and_bytes() -> None:
    """The hash of a value must be one that others can make too."""
    step = Mask((("_kafka_key", "sha256"),), KEY)
    told = column("_kafka_key", step, metadata=("key",))
    assert told[1] == hmac.new(KEY, b"key-1", hashlib.sha256).hexdigest()
    fields = [{"name": "n", "type": "long"}]
    plan = builders.plan(fields, transform=(Mask((("n", "sha256"),), KEY),))
    done = builders.judge([b'{"n": -12}'], plan)
    assert done.valid.column("n").to_pylist() == [hmac.new(KEY, b"-12", hashlib.sha256).hexdigest()]


def test_the_key_and_the_headers_of_kafka_can_be_read() -> None:
    """Producers put what they know of an event there; bytes that are no text cost the row."""
    step = Derive(
        (("by", "decode(_kafka_key)"), ("trace", "decode(_kafka_headers[1].value)")),
    )
    told = rows(step, metadata=("key", "headers"))
    assert [(row["by"], row["trace"]) for row in told] == [
        ("key-0", "0"), ("key-1", "1"), ("key-2", "2")
    ]  # fmt: skip  # one value
    plan = builders.plan(metadata=("key",), transform=(Derive((("by", "decode(_kafka_key)"),)),))
    raw = builders.replaced(builders.raw_batch(VALUES), key=[b"a", b"\xff", None])
    done = builders.process_by_both(raw, plan)
    assert done.valid.column("by").to_pylist() == ["a", None]
    assert done.dead.column("offset").to_pylist() == [1]


def test_a_mask_is_refused_where_the_value_stands_in_rescued_too() -> None:
    """A hidden value that stands in clear beside itself is not hidden."""
    fields = [{"name": "mail", "type": "string", "from": "user.mail"}]
    step = Mask((("mail", "redact"),))
    with pytest.raises(ConfigurationError, match="mail may stand in _rescued too"):
        builders.plan(fields, transform=(step,))
    builders.plan(fields, transform=(step, Drop(("_rescued",))))
    builders.plan(fields, transform=(Mask((("mail", "redact"), ("_rescued", "redact"))),))
    builders.plan(fields, unknown_fields="drop", transform=(step,))
    renamed = (Rename((("mail", "m"),)), Mask((("m", "redact"),)))
    with pytest.raises(ConfigurationError, match="m may stand in _rescued too"):
        builders.plan(fields, transform=renamed)


def test_only_the_failing_rows_become_dead_letters_with_their_exact_bytes() -> None:
    """One odd event costs itself; its letter says which step, and nothing of its content."""
    steps = (Filter("true"), Derive((("n", "CAST(order_id AS INTEGER)"), ("m", "1"))))
    done = builders.judge(VALUES, builders.plan(transform=steps))
    assert done.valid.column("n").to_pylist() == [7]
    letters = done.dead.to_pylist()
    assert [letter["offset"] for letter in letters] == [0, 1]
    assert [letter["value"] for letter in letters] == VALUES[:2]
    assert {letter["code"] for letter in letters} == {"transform.failed"}
    assert {letter["stage"] for letter in letters} == {"transform"}
    assert {letter["expected"] for letter in letters} == {"derive n"}
    assert {letter["message"] for letter in letters} == {
        "step 2 of transform has no value for this event: derive n"
    }
    assert len({letter["fingerprint"] for letter in letters}) == 1


def test_all_parts_of_a_step_that_have_no_value_are_listed() -> None:
    """A person mends all of them at once."""
    step = Derive((("n", "CAST(order_id AS INTEGER)"), ("m", "CAST(currency AS INTEGER)")))
    done = builders.judge(VALUES[:1], builders.plan(transform=(step,)))
    (letter,) = done.dead.to_pylist()
    assert [each["expected"] for each in letter["problems"]] == ["derive n", "derive m"]


@pytest.mark.parametrize(
    "text",
    ["1 / (amount - amount)", "created_at + INTERVAL 9000 YEAR", "CAST('infinity' AS DATE)",
     "CAST('nan' AS DOUBLE)"],
)  # fmt: skip  # a list
def test_what_no_column_may_hold_is_no_value(text: str) -> None:
    """Infinities and years beyond 9999 are refused from events, so also from expressions."""
    done = builders.judge(VALUES, builders.plan(transform=(Derive((("x", text),)),)))
    assert done.valid.num_rows == 0
    assert done.dead.num_rows == 3


def test_rows_can_be_partitioned_by_what_was_derived() -> None:
    """Transforms come before the table, so its partitions may be of their making."""
    step = Derive((("day", "CAST(created_at AS DATE)"), ("later", "created_at + INTERVAL 1 DAY")))
    told = rows(step, partition_by=("day", "date(later)"))
    assert told[0]["day"] == date(2026, 3, 1)
    assert told[0]["later_date"] == date(2026, 3, 2)
    assert told[0]["later"] == datetime(2026, 3, 2, 10, tzinfo=UTC)
    assert "no column amount" in problem(Drop(("amount",)), partition_by=("amount",))


def test_a_function_of_the_users_gets_batches() -> None:
    """What SQL cannot say, a few lines of Arrow can."""

    def doubled(batch: pa.RecordBatch) -> pa.RecordBatch:
        twice = pc.add(batch.column("amount"), batch.column("amount")).cast(pa.decimal128(13, 2))
        return batch.append_column("twice", twice).drop_columns(["customer_id"])

    assert column("twice", hook(doubled)) == [Decimal(20), Decimal("199.98"), Decimal("0.02")]
    plan = builders.plan(transform=(hook(doubled),))
    assert plan.table.field("twice").type == pa.decimal128(13, 2)
    assert "customer_id" not in plan.table.names
    assert plan.transform.rules["python hooks:function"] == "0" * 64


def test_where_it_raises_each_row_is_judged_by_itself() -> None:
    """One odd event must not take its batch along, whoever wrote the function."""

    def picky(batch: pa.RecordBatch) -> pa.RecordBatch:
        if "b" in batch.column("order_id").to_pylist():
            raise ValueError("no b")
        return batch

    done = builders.judge(VALUES, builders.plan(transform=(hook(picky),)))
    assert done.valid.column("order_id").to_pylist() == ["a", "7"]
    (letter,) = done.dead.to_pylist()
    assert letter["expected"] == "python hooks:function"
    assert "no b" not in str(letter["message"])


def _lost(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.slice(0, min(1, batch.num_rows))


def _reversed(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.take(pa.array(range(batch.num_rows), pa.int64())[::-1])


@pytest.mark.parametrize("function", [_lost, _reversed])
def test_rows_are_never_lost_doubled_or_exchanged(
    function: Callable[[pa.RecordBatch], pa.RecordBatch],
) -> None:
    """A function that gives back other events than it got is asked for each of them."""
    done = builders.judge(VALUES, builders.plan(transform=(hook(function),)))
    assert done.valid.column("order_id").to_pylist() == ["a", "b", "7"]
    assert done.valid.column("_kafka_offset").to_pylist() == [0, 1, 2]


def test_a_function_that_gives_back_nothing_fails_every_row() -> None:
    """Its answer is none, and the law of conservation holds all the same."""

    def gone(batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch.slice(0, 0)

    done = builders.judge(VALUES, builders.plan(transform=(hook(gone),)))
    assert (done.valid.num_rows, done.dead.num_rows) == (0, 3)
    assert done.valid.schema == builders.plan(transform=(hook(gone),)).table


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (Filter("amount"), "expected a condition"),
        (Filter("amonut > 1"), "no column amonut; did you mean amount"),
        (Filter('currency = "EUR"'), "single quotes"),
        (Filter("amount > "), "no SQL expression"),
        (Filter("uper(currency) = 'EUR'"), "did you mean upper"),
        (Derive((("x", "created_at::TIMESTAMP"),)), "say which it is"),
        (Derive((("x", "created_at - created_at"),)), "no type for"),
        (Derive((("x", "upper(amount, 1)"),)), "Binder Error"),
        (Derive((("_kafka_offset", "1"),)), "cannot be changed"),
        (Derive((("_rescued2 ", "1"),)), "a name is letters"),
        (Derive((("Amount", "1"),)), "differ only in case"),
        (Derive((("x", "1"), ("X", "2"))), "differ only in case"),
        (Rename((("amount", "currency"),)), "a column currency already"),
        (Rename((("_kafka_topic", "topic"),)), "cannot be changed"),
        (Rename((("_rescued", "rest"),)), "keeps its name"),
        (Drop(("_kafka_partition",)), "cannot be changed"),
        (Drop(("nothing",)), "no column nothing"),
        (Mask((("amount", "sha256"),), KEY), "derive a text first"),
        (Mask((("order_id", "sha256"),), b"short"), "a key of at least 16 bytes"),
        (hook(lambda batch: batch.drop_columns(["_kafka_offset"])), "as it came"),
        (hook(lambda batch: None), "did not give back a batch"),
        (hook(lambda batch: 1 / 0), "raised ZeroDivisionError"),
        (hook(lambda batch: batch.append_column("x", pa.array([], pa.time32("s")))), "no type"),
    ],
)  # fmt: skip  # a list
def test_what_cannot_work_is_said_before_the_first_event(step: Step, words: str) -> None:
    """A mistake in the file stops the start, never the stream."""
    assert words in problem(step)


def test_a_plan_without_expressions_has_no_rules_to_tell() -> None:
    """The commits of a pipeline without a transform stay as they were."""
    transform, problems = make_transform((), table_schema(builders.event_schema()))
    assert transform.rules == {}
    assert problems == []
