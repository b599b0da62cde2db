"""Invented orders that fit config/orders.yaml, about one in a hundred of them broken.

For the demo, the local mode and the benchmarks. Pure and seeded: the same arguments give the same
events, on every machine. Texts are put together from prepared pieces, since 2,000,000 of them must
not take longer to invent than to process.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

SPACING_MS = 5
"""Between two orders, in event time: the pace of the local mode, 200 a second."""

EPOCH_MS = 1_795_165_200_000
"""2026-11-20T09:00:00Z, when the first order is placed unless the caller says otherwise."""

Event = tuple[bytes, bytes | None]
"""Key and value of a Kafka record; the value is None for a tombstone."""

_PIECES = 4096  # a power of two, so that a few random bits choose one
_STATUSES = ("created", "paid", "paid", "shipped", "shipped", "delivered", "cancelled", " Paid")
_CURRENCIES = ("EUR", "EUR", "EUR", "USD", "USD", "GBP", "gbp", " eur ")
_CHANNELS = ("web", "web", "app", "store", "phone")
_CITIES = ("Porto", "Kraków", "大阪", "São Paulo", "Gent", "Málaga", "Oulu", "Ålesund")
_METHODS = ("standard", "express", "pickup")


def orders(
    count: int,
    seed: int,
    broken_ratio: float = 0.01,
    *,
    first: int = 0,
    epoch_ms: int = EPOCH_MS,
) -> Iterator[Event]:
    """Yield `count` events of about 283 bytes each, keyed by order number.

    `first` is the number of the first order, so that a later call continues where an earlier one
    ended; it is placed at `epoch_ms`, each further one `SPACING_MS` later. Among the broken ones
    every kind of `BREAKERS` comes up equally often, in no order.
    """
    dice = random.Random(seed)  # noqa: S311 - invented orders, not secrets
    heads, tails = _heads(dice), _tails(dice)
    breakers = tuple(BREAKERS.values())
    chance, bits = dice.random, dice.getrandbits
    moments = _moments(epoch_ms)
    for number in range(first, first + count):
        key = b"O-%09d" % number
        chosen = bits(24)
        value = b'{"order_id":"%b",%b%b%b' % (
            key,
            heads[chosen & (_PIECES - 1)],
            next(moments),
            tails[chosen >> 12],
        )
        if chance() < broken_ratio:
            yield key, breakers[int(chance() * len(breakers))](value)
        else:
            yield key, value


def _heads(dice: random.Random) -> list[bytes]:
    """The fields that the schema names, but for the order number and the time."""
    made = []
    for _ in range(_PIECES):
        customer = f'"C-{dice.randrange(100_000):05d}"'
        if dice.random() < 0.005:  # a bad value that costs the field and not the row (on_error)
            customer = f'{{"id":{customer}}}'
        amount = f"{dice.randrange(3, 400)}.{dice.randrange(100):02d}"
        made.append(
            f'"customer_id":{customer},"status":"{dice.choice(_STATUSES)}","amount":{amount},'
            f'"currency":"{dice.choice(_CURRENCIES)}","quantity":{dice.randrange(1, 9)},'
        )
    return [text.encode() for text in made]


def _tails(dice: random.Random) -> list[bytes]:
    """Fields that the schema does not name: they are kept in `_rescued` as they stand."""
    made = []
    for _ in range(_PIECES):
        coupon = f',"coupon":"WELCOME{dice.randrange(5, 30)}"' if dice.random() < 0.04 else ""
        made.append(
            f'"channel":"{dice.choice(_CHANNELS)}",'
            f'"items":[{{"sku":"SKU-{dice.randrange(10_000):04d}","price":{dice.randrange(99)}.90}}],'
            f'"shipping":{{"city":"{dice.choice(_CITIES)}","method":"{dice.choice(_METHODS)}"}},'
            f'"loyalty_points":{dice.randrange(10_000)}{coupon}}}'
        )
    return [text.encode() for text in made]


def _moments(epoch_ms: int) -> Iterator[bytes]:
    """The field `created_at`, as a text and now and then in milliseconds, as in real topics."""
    second, text = -1, b""
    for at_ms in range(epoch_ms, 2**62, SPACING_MS):
        if at_ms // 1000 != second:  # two hundred orders share the text of their second
            second = at_ms // 1000
            moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
            text = moment.strftime("%Y-%m-%dT%H:%M:%S").encode()
        if at_ms % 45 == 0:
            yield b'"created_at":%d,' % at_ms
        else:
            yield b'"created_at":"%b.%03dZ",' % (text, at_ms % 1000)


def _cut_short(value: bytes) -> bytes:
    return value[: len(value) * 2 // 3]


def _amount_with_comma(value: bytes) -> bytes:
    return re.sub(rb'"amount":(\d+)\.(\d+)', rb'"amount":"\1,\2"', value)


def _without_order_id(value: bytes) -> bytes:
    return re.sub(rb'"order_id":"[^"]*",', b"", value)


def _created_at(text: bytes) -> Callable[[bytes], bytes]:
    return lambda value: re.sub(rb'"created_at":[^,]*,', b'"created_at":%b,' % text, value)


def _unknown_currency(value: bytes) -> bytes:
    return re.sub(rb'"currency":"[^"]*"', b'"currency":"DOUBLOONS"', value)


def _negative_amount(value: bytes) -> bytes:
    return value.replace(b'"amount":', b'"amount":-')


def _in_latin_1(value: bytes) -> bytes:
    return re.sub(rb'"city":"[^"]*"', '"city":"Besançon"'.encode("latin-1"), value)


def _nested_too_deep(value: bytes) -> bytes:
    return b'%b,"bundle":%b%b}' % (value[:-1], b"[" * 200, b"]" * 200)


BREAKERS: dict[str, Callable[[bytes], bytes | None]] = {
    "a producer that died while sending": _cut_short,
    "an amount written as people do": _amount_with_comma,
    "an order without a number": _without_order_id,
    "a time that is null": _created_at(b"null"),
    "a time in a local format": _created_at(b'"20.11.2026 09:00"'),
    "a currency nobody knows": _unknown_currency,
    "an amount below zero": _negative_amount,
    "a text in another encoding": _in_latin_1,
    "a list where an order belongs": lambda value: b"[%b]" % value,
    "a byte order mark from an editor": lambda value: b"\xef\xbb\xbf" + value,
    "the frame of a schema registry": lambda value: b"\x00\x00\x00\x00\x07" + value,
    "brackets without end": _nested_too_deep,
    "nothing at all": lambda _: b"",
    "a tombstone": lambda _: None,
}
"""What goes wrong in real topics, each as a function from a good value to a broken one."""
