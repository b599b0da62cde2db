"""A predicate means the value that it was made of, and never what the value says."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream_processor.errors import InternalError
from stream_processor.sinks.delta_delete import delete
from stream_processor.sinks.delta_predicates import (
    TERMS_MAX,
    all_of,
    any_of,
    between,
    is_date,
    is_number,
    is_text,
)

TEXTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=30)
DAY = date(2026, 11, 24)


def survivors(texts: list[str | None], victim: str | None) -> list[str | None]:
    """What is left of a table of these texts when the rows with `victim` are deleted."""
    with TemporaryDirectory() as folder:
        rows = pa.table({"a 'topic\"": pa.array(texts, pa.string())})
        write_deltalake(folder, rows, configuration={"delta.columnMapping.mode": "none"})
        delete(folder, DeltaTable(folder), is_text("a 'topic\"", victim), {}, {})
        return list(DeltaTable(folder).to_pyarrow_table().column(0).to_pylist())


@settings(max_examples=40, deadline=None)
@given(TEXTS, TEXTS)
@example("' OR '1'='1", "x")
@example("\\' OR 1=1 --", "\\")
@example("a''b", "a'b")
@example("NULL", "null")
@example("$1 ? :name {x}", "%_")
@example("\u2019; DROP TABLE x", "'")
def test_exactly_the_rows_with_the_text_are_meant(one: str, other: str) -> None:
    """A topic or an id that is a piece of SQL must not choose other rows."""
    assert survivors([one, other, None], one) == [*([other] if other != one else []), None]
    assert survivors([one, None], None) == [one]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=6),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-(2**63), 2**63 - 1),
)
def test_numbers_mean_themselves_at_every_size(values: list[int], one: int, other: int) -> None:
    """Offsets are 64 bits: a literal that became a float would take the neighbours along."""
    first, last = sorted((one, other))
    with TemporaryDirectory() as folder:
        write_deltalake(folder, pa.table({"offset": pa.array(values, pa.int64())}))
        delete(folder, DeltaTable(folder), is_number("offset", values[0]), {}, {})
        delete(folder, DeltaTable(folder), between("offset", first, last), {}, {})
        left = DeltaTable(folder).to_pyarrow_table()["offset"].to_pylist()
    expected = [v for v in values if v != values[0] and not first <= v <= last]
    assert sorted(left) == sorted(expected)


def test_a_day_means_its_partition_and_nothing_is_rewritten(tmp_path: Path) -> None:
    """To purge whole days must cost a line in the log, not the reading of every letter."""
    days = [DAY, DAY - timedelta(days=1), DAY]
    rows = pa.table({"failed_date": pa.array(days, pa.date32()), "offset": [1, 2, 3]})
    write_deltalake(tmp_path, rows, partition_by=["failed_date"])
    assert delete(str(tmp_path), DeltaTable(tmp_path), is_date("failed_date", DAY), {}, {}) == 2
    assert DeltaTable(tmp_path).to_pyarrow_table()["offset"].to_pylist() == [2]
    newest = DeltaTable(tmp_path).history(1)[0]["operationMetrics"]
    assert newest["num_added_files"] == newest["num_copied_rows"] == 0


def test_a_moment_becomes_its_day_only() -> None:
    """A `datetime` is a `date` too, and its clock would not be read as the type of the column."""
    moment = datetime(2026, 11, 24, 9, 14, tzinfo=UTC)
    assert is_date("failed_date", moment) == is_date("failed_date", DAY)


@pytest.mark.parametrize("size", [0, TERMS_MAX + 1])
def test_a_predicate_has_a_sane_size(size: int) -> None:
    """None would mean all rows; the library crashes the process on a very large one."""
    with pytest.raises(InternalError):
        any_of([is_number("offset", 1)] * size)


def test_the_largest_predicate_is_no_danger(tmp_path: Path) -> None:
    """The bound must lie far below where the library's recursion ends the process."""
    write_deltalake(tmp_path, pa.table({"offset": list(range(4 * TERMS_MAX))}))
    terms = [between("offset", 2 * n, 2 * n) for n in range(TERMS_MAX)]
    predicate = all_of([any_of(terms), is_text("offset", None)])
    assert delete(str(tmp_path), DeltaTable(tmp_path), predicate, {}, {}) == 0
    assert delete(str(tmp_path), DeltaTable(tmp_path), any_of(terms), {}, {}) == TERMS_MAX


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1])
def test_what_is_no_offset_is_refused(value: int) -> None:
    """It could only be compared as something else than a whole number."""
    with pytest.raises(InternalError):
        is_number("offset", value)


def test_a_nul_is_refused() -> None:
    """Kafka knows no such topic, and the library might end the text there."""
    with pytest.raises(InternalError):
        is_text("topic", "a\0b")
