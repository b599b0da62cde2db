"""A seeded stream of damaged payloads: whole and broken events, cut, glued and flipped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from random import Random

from tests import tokens

_PIECES = [text.encode() for text in tokens.VALUES] + [
    bytes([value]) for value in (0, 1, 9, 10, 13, 31, 32, 34, 44, 58, 91, 92, 93, 123, 125, 127)
]
_PIECES += [b"\x80", b"\xff", b"\xc3(", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf"]
_PIECES += [b'"id":1,', b',"id":"x"', b'"":5,', b'"\\u0069d":3,', b"}{", b"\xc5\xbe", b"\xf0\x9f"]


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


_SOUND = [text.encode() for text in tokens.VALUES if _is_json(text)]


def order(dice: Random) -> bytes:
    """An event like those of the orders example, about 283 bytes long."""
    number = dice.randrange(10**9)
    event = {
        "order_id": f"o-{number:012d}",
        "amount": f"{dice.randrange(10**6) / 100:.2f}",
        "currency": dice.choice(["EUR", "USD", "GBP", " eur "]),
        "created_at": f"2026-11-{1 + number % 28:02d}T10:{number % 60:02d}:07.{number % 1000:03d}Z",
        "customer_id": f"c-{number % 5000}",
        "items": [{"sku": f"sku-{number % 97}", "qty": number % 9, "price": number % 100 / 10}],
        "note": "left at the door " * (number % 3),
        "address": {"city": "Brno", "zip": "60200"},
        "tags": ["a", "b"],
    }
    return json.dumps(event, separators=(",", ":")).encode()


def _flip(data: bytes, dice: Random) -> bytes:
    at = dice.randrange(len(data))
    return data[:at] + bytes([dice.randrange(256)]) + data[at + 1 :]


def _cut(data: bytes, dice: Random) -> bytes:
    at = dice.randrange(len(data))
    return data[:at] + data[at + dice.randrange(1, 9) :]


def _end(data: bytes, dice: Random) -> bytes:
    return data[: dice.randrange(len(data))]


def _insert(data: bytes, dice: Random) -> bytes:
    at = dice.randrange(len(data) + 1)
    return data[:at] + dice.choice(_PIECES) + data[at:]


def _repeat(data: bytes, dice: Random) -> bytes:
    at = dice.randrange(len(data))
    piece = data[at : at + dice.randrange(1, 40)]
    return data[:at] + piece * dice.choice((2, 2, 3, 130)) + data[at + len(piece) :]


def _new_value(data: bytes, dice: Random) -> bytes:
    """Put another value after some colon: mostly valid JSON with a field on an edge."""
    colons = [at for at, letter in enumerate(data) if letter == 0x3A]
    if not colons:
        return _insert(data, dice)
    at = dice.choice(colons) + 1
    end = at
    while end < len(data) and data[end] not in b",}]":
        end += 1
    return data[:at] + dice.choice(_SOUND) + data[end:]


def _new_member(data: bytes, dice: Random) -> bytes:
    key = dice.choice((b"id", b"a", b"order_id", b"x", b"address", b"\xc5\xbe", b"q\\n", b"amount"))
    member = b'"' + key + b'":' + dice.choice(_SOUND)
    if dice.random() < 0.5:
        return data[:1] + member + b"," + data[1:]
    return data[:-1] + b"," + member + data[-1:]


_WAYS: tuple[Callable[[bytes, Random], bytes], ...] = (
    _flip, _cut, _end, _insert, _repeat, *[_new_value] * 6, *[_new_member] * 2
)  # fmt: skip  # the weights are seen at once


def payloads(whole: Sequence[bytes], seed: int) -> Iterator[bytes]:
    """Endless: an event of `whole`, or a new order if there are none, damaged in 0 to 3 ways."""
    dice = Random(seed)  # the same payloads for the same seed
    while True:
        data = dice.choice(whole) if whole else order(dice)
        for _ in range(dice.choice((0, 1, 1, 1, 2, 3))):
            data = dice.choice(_WAYS)(data, dice) if data else data
        yield data
