"""What a schema file means for a table that exists: added, kept, or refused with a way out."""

from __future__ import annotations

import pyarrow as pa
import pytest
import yaml

from stream_processor.config.fields import SchemaFile
from stream_processor.schema.compile import compile_schema
from stream_processor.schema.evolution import changes, columns_to_add, type_words
from stream_processor.schema.types import parse_type

TABLE = pa.schema([("id", pa.string()), ("qty", pa.int32()), ("price", pa.decimal128(5, 2))])


def changed(**columns: pa.DataType | None) -> pa.Schema:
    """The table's columns with some of another type, new, or (None) left out."""
    there = {field.name: field.type for field in TABLE} | columns
    return pa.schema([(name, type_) for name, type_ in there.items() if type_ is not None])


def test_what_agrees_is_no_change() -> None:
    """Most starts meet the table that they left; nothing must be said or done then."""
    assert changes(TABLE, TABLE) == ()
    assert not columns_to_add(TABLE, TABLE).names


def test_a_new_field_is_added_and_breaks_nothing() -> None:
    """The commonest change of all must need no person."""
    wanted = changed(coupon=pa.string())
    (change,) = changes(TABLE, wanted)
    assert (change.kind, change.column, change.breaking) == ("added", "coupon", False)
    assert columns_to_add(TABLE, wanted).names == ["coupon"]


def test_a_removed_field_stays_as_a_column() -> None:
    """The rows of before still have its values."""
    (change,) = changes(TABLE, changed(qty=None))
    assert (change.kind, change.column, change.breaking) == ("retired", "qty", False)


@pytest.mark.parametrize(
    ("column", "type_text", "example"),
    [
        ("qty", "long", "{name: qty_long, type: long, from: qty}"),
        ("qty", "string", "{name: qty_string, type: string, from: qty}"),
        ("price", "decimal(12,2)", '{name: price_decimal, type: "decimal(12,2)", from: price}'),
        ("price", "decimal(5,3)", '{name: price_decimal, type: "decimal(5,3)", from: price}'),
    ],
)
def test_another_type_is_refused_with_a_field_that_can_be_pasted(
    column: str, type_text: str, example: str
) -> None:
    """A refusal without a way out costs the person on call an hour."""
    (change,) = changes(TABLE, changed(**{column: parse_type(type_text).arrow}))
    assert change.breaking
    assert example in change.hint
    pasted = yaml.safe_load(example)
    compile_schema(SchemaFile.model_validate({"version": 1, "name": "x", "fields": [pasted]}))


@pytest.mark.parametrize(
    ("wide", "narrow", "fits"),
    [
        (pa.int64(), pa.int32(), True),
        (pa.int32(), pa.int64(), False),
        (pa.float64(), pa.float32(), True),
        (pa.float64(), pa.int32(), False),
        (pa.decimal128(12, 2), pa.decimal128(5, 2), True),
        (pa.decimal128(12, 4), pa.decimal128(5, 2), True),
        (pa.decimal128(5, 2), pa.decimal128(5, 1), False),
        (pa.decimal128(6, 4), pa.decimal128(5, 2), False),
        (pa.string(), pa.int32(), False),
    ],
)
def test_a_column_that_holds_every_value_is_good_enough(
    wide: pa.DataType, narrow: pa.DataType, *, fits: bool
) -> None:
    """Somebody may have rewritten the table wider; nothing is lost by going on."""
    (change,) = changes(pa.schema([("n", wide)]), pa.schema([("n", narrow)]))
    assert change.breaking is not fits


def test_names_that_differ_only_in_case_are_one_column() -> None:
    """Delta and most readers take them for the same, so adding one would fail late and darkly."""
    (change,) = changes(TABLE, changed(id=None, ID=pa.string()))
    assert (change.kind, change.column, change.breaking) == ("case", "ID", True)
    assert "'id'" in change.complaint


def test_not_null_is_told_for_what_is_filled_and_what_is_not() -> None:
    """A null costs its event where the file fills the column, and a whole batch where not."""
    demanding = pa.schema([pa.field("id", pa.string(), nullable=False)])
    (filled,) = changes(demanding, pa.schema([("id", pa.string())]))
    assert (filled.kind, filled.breaking) == ("not_null", False)
    absent = changes(demanding, pa.schema([("qty", pa.int32())]))
    assert [change.breaking for change in absent] == [False, True]


@pytest.mark.parametrize(
    "text",
    ["string", "int", "long", "float", "double", "boolean", "date", "timestamp", "binary"],
)
def test_types_are_told_in_the_words_of_a_schema_file(text: str) -> None:
    """What is shown can be typed."""
    assert type_words(parse_type(text).arrow) == text


def test_a_type_that_no_schema_file_has_is_told_in_arrows_words() -> None:
    """Somebody else's column may be anything."""
    assert type_words(pa.decimal128(12, 2)) == "decimal(12,2)"
    assert type_words(pa.list_(pa.int8())) == "list<item: int8>"
