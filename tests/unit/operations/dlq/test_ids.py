"""The quick search for ids in the ledger finds exactly what a slow one finds."""

from __future__ import annotations

import hashlib

import pyarrow as pa
import pytest

from stream_processor.operations.dlq.ids import IdIndex


def hashed(*numbers: int) -> list[str]:
    return [hashlib.sha256(b"%d" % number).hexdigest()[:32] for number in numbers]


def test_ids_are_found_at_their_places() -> None:
    """A status that is looked up at the wrong place would replay what was erased."""
    ledger = hashed(*range(0, 3000, 3))
    asked = hashed(*range(2000))
    expected = [number // 3 if number % 3 == 0 else -1 for number in range(2000)]
    assert IdIndex(pa.array(ledger)).places(pa.array(asked)).tolist() == expected


def test_a_part_of_an_array_is_looked_up_as_it_is() -> None:
    """Batches are slices of larger buffers."""
    ledger = pa.array(hashed(*range(10))).slice(2, 5)
    asked = pa.array(hashed(*range(10))).slice(1, 3)
    assert IdIndex(ledger).places(asked).tolist() == [-1, 0, 1]


@pytest.mark.parametrize("ledger", [["short", *hashed(1)], [*hashed(1), None], []])
def test_ids_of_another_form_are_found_too(ledger: list[str]) -> None:
    """A ledger that other hands have written to must not break every verb."""
    expected = [ledger.index(each) if each in ledger else -1 for each in hashed(1, 2)]
    index = IdIndex(pa.array(ledger, pa.string()))
    assert index.places(pa.array(hashed(1, 2))).tolist() == expected


def test_equal_bits_are_not_enough() -> None:
    """Two ids that share the bits which the search uses are two ids all the same."""
    (one,) = hashed(1)
    other = one[:16] + "f" * 16
    assert IdIndex(pa.array([one])).places(pa.array([other, one])).tolist() == [-1, 0]
    assert IdIndex(pa.array([one, other])).places(pa.array([other, one])).tolist() == [1, 0]
