"""The scanner in C takes no text that is wrong, and leaves over little that is right."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from random import Random

import numpy as np
import pyarrow as pa
import pytest

from stream_processor.processor.native.decoder import native_decoder_of
from stream_processor.processor.native.library import decoder_name
from stream_processor.processor.plan import Plan
from stream_processor.processor.syntax import fault
from tests import builders, mutator

PLAN = builders.plan([{"name": "id", "type": "json"}])


def taken(values: list[bytes], plan: Plan = PLAN) -> set[bytes]:
    decoder = native_decoder_of(plan)
    assert decoder is not None
    found = decoder.take(pa.array(values, pa.binary()), np.ones(len(values), np.bool_))
    return {values[row] for row in found.rows.tolist()}


def right(values: list[bytes]) -> set[bytes]:
    return {value for value in values if fault(value, PLAN.options) is None}


def in_string(parts: Iterable[bytes]) -> list[bytes]:
    return [b'{"id":"%s"}' % part for part in parts]


def as_value(parts: Iterable[bytes]) -> list[bytes]:
    return [b'{"id":%s}' % part for part in parts]


def strings_of(alphabet: list[bytes], lengths: Iterable[int]) -> list[bytes]:
    return [b"".join(one) for size in lengths for one in itertools.product(alphabet, repeat=size)]


def test_the_decoder_in_c_is_in_use() -> None:
    """Without it every test here would compare Python with itself, and the fast way go untested."""
    assert decoder_name() == "native"
    dice = Random(3)
    orders = [mutator.order(dice) for _ in range(500)]
    assert taken(orders, builders.plan()) == set(orders)
    assert native_decoder_of(builders.plan(decoder="python")) is None


PAIRS = [bytes(pair) for pair in itertools.product(range(256), repeat=2)]
EDGES = [bytes([edge]) for edge in b'\x00"A\\\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xff']
SURROGATES = [b"\\u%04x" % unit for unit in (0xD7FF, 0xD800, 0xDBFF, 0xDC00, 0xDFFF, 0xE000, 0x41)]

FAMILIES = {
    "all pairs of bytes in a string": in_string(PAIRS),
    "all pairs of bytes as a value": as_value(PAIRS),
    "every first byte of UTF-8, and what may follow": in_string(
        bytes([first]) + rest for first in range(0xC0, 0x100) for rest in strings_of(EDGES, [3])
    ),
    "the same behind other letters": in_string(
        b"aaaaa" + bytes([first]) + rest
        for first in range(0xC0, 0x100)
        for rest in strings_of(EDGES, [1, 2])
    ),
    "every escaped code unit": in_string(b"\\u%04x" % unit for unit in range(65_536)),
    "pairs of escaped code units": in_string(strings_of(SURROGATES, [2, 3])),
    "escapes cut short": in_string(strings_of([b"\\", b"u", b"0", b"D", b"8", b"G", b"n"], [4, 5])),
    "numbers": as_value(strings_of([bytes([one]) for one in b"0129+-.eE"], [1, 2, 3, 4, 5])),
    "words": as_value(strings_of([b"true", b"false", b"null", b"tru", b"e", b" "], [1, 2, 3])),
    "structure of a value": as_value(
        strings_of([b"{", b"}", b"[", b"]", b",", b":", b'"a"', b"1", b" "], [1, 2, 3, 4, 5])
    ),
    "structure of an event": strings_of(
        [b"{", b"}", b"[", b"]", b",", b":", b'"a"', b"1", b" "], [1, 2, 3, 4, 5]
    ),
    "structure with blanks": strings_of(
        [b"{", b"}", b'"a":[1,{"b":2}]', b",", b"\n", b"\t", b"\r ", b"\x0b"], [1, 2, 3, 4, 5]
    ),
    "depth": as_value(b"[" * depth + b"]" * depth for depth in range(120, 135))
    + [b'{"a":' * depth + b"1" + b"}" * depth for depth in range(120, 135)],
    "brackets that do not match": as_value(
        b"[" * depth + b"{" + end + b"]" * depth for depth in (1, 62, 126) for end in EDGES
    ),
    "a string around each length of eight bytes": in_string(
        b"a" * before + special + b"a" * after
        for before in range(18)
        for after in range(10)
        for special in (b"", b"\x1f", b"\\n", b"\\", "ž".encode(), b"\xc5", b'"')
    ),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_taken_is_right_and_what_is_right_is_taken(family: str) -> None:
    """Whatever is taken never meets the judge; whatever is left over costs ten times as much."""
    values = [value for value in FAMILIES[family] if value.count(b'"a"') < 2]
    assert taken(values) == right(values)


@pytest.mark.parametrize(
    "value",
    [
        b'{"\\u0069d":1}',
        b'{"x":1,"x":2}',
        b"{%s}" % b",".join(b'"k%d":1' % at for at in range(65)),
    ],
    ids=["escaped key", "repeated key that is kept", "many keys that are kept"],
)
def test_what_python_knows_better_is_left_over(value: bytes) -> None:
    """An escaped key may be a wanted one, and a key keeps its first place with its last value."""
    assert right([value]) == {value}
    assert taken([value]) == set()


def test_what_stands_behind_a_null_is_no_event() -> None:
    """Arrow allows bytes behind a null; they were never in Kafka."""
    values = pa.array([b'{"id":1}', b'{"id":2}'], pa.binary())
    offsets, data = values.buffers()[1:]
    nulls = pa.BinaryArray.from_buffers(
        pa.binary(), 2, [pa.py_buffer(b"\x01"), offsets, data], null_count=1
    )
    decoder = native_decoder_of(PLAN)
    assert decoder is not None
    assert decoder.take(nulls, np.ones(2, np.bool_)).rows.tolist() == [0]


def test_a_slice_of_a_column_is_read_where_it_stands() -> None:
    """The kernel cuts batches into slices that share their memory."""
    values = pa.array([b"{}", b'{"id":1}', b'{"id":[2]}', b"x"], pa.binary()).slice(1, 2)
    decoder = native_decoder_of(PLAN)
    assert decoder is not None
    found = decoder.take(values, np.ones(2, np.bool_))
    assert found.texts(0, np.arange(2)) == [b"1", b"[2]"]
