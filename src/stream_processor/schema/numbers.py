"""Exact conversions of the text of a JSON number. Nothing is rounded unless records.md, 3 says so.

Lengths and exponents are judged on the text, so no number costs more than its length.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from decimal import Decimal

from stream_processor.schema.types import ColumnType
from stream_processor.schema.values import Failure

NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
"""The number grammar of RFC 8259, for strings that should hold one."""

_PARTS = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")
_PLAIN = re.compile(r"-?[0-9]+")
_LENGTH_MAX = 400
_EXPONENT_MAX = 400
_BOUNDS = {"int": 2**31, "long": 2**63}


def whole(text: str, kind: str) -> int | Failure:
    """The integer that a number's text stands for: `7`, `7.0` and `7e0` are the same one."""
    if len(text) > _LENGTH_MAX:
        return Failure.RANGE
    if _PLAIN.fullmatch(text):
        value = int(text)
    else:
        parts = _exact(text)
        if isinstance(parts, Failure):
            return parts
        sign, digits, exponent = parts
        if exponent < 0:
            return Failure.TYPE
        value = int(f"{sign}{digits}") * 10**exponent
    bound = _BOUNDS[kind]
    return value if -bound <= value < bound else Failure.RANGE


def decimal(text: str, column: ColumnType) -> Decimal | Failure:
    """The decimal, if precision and scale hold it exactly (`1.2500` fits (12,2))."""
    if len(text) > _LENGTH_MAX:
        return Failure.RANGE
    parts = _exact(text)
    if isinstance(parts, Failure):
        return parts
    sign, digits, exponent = parts
    if digits == "0":
        return Decimal(0)
    if -exponent > column.scale or len(digits) + exponent > column.precision - column.scale:
        return Failure.RANGE
    return Decimal(f"{sign}{digits}E{exponent}")


def _exact(text: str) -> tuple[str, str, int] | Failure:
    """Sign, digits without zeros at either end, and the power of ten of the last digit."""
    match = _PARTS.fullmatch(text)
    assert match is not None  # callers pass valid numbers only
    sign, integer, fraction, power = match[1], match[2], match[3] or "", match[4] or "0"
    if len(power.lstrip("+-").lstrip("0")) > 3 or abs(int(power)) > _EXPONENT_MAX:
        return Failure.RANGE
    digits = (integer + fraction).lstrip("0")
    short = digits.rstrip("0")
    if not short:
        return "", "0", 0
    return sign, short, int(power) - len(fraction) + len(digits) - len(short)


def double(text: str) -> float | Failure:
    """The nearest double; a plain integer must be held exactly."""
    if _PLAIN.fullmatch(text):
        return _held(text, _nearest_double)
    return _nearest_double(text)


def single(text: str) -> float | Failure:
    """The nearest 32-bit float; a plain integer must be held exactly."""
    if _PLAIN.fullmatch(text):
        return _held(text, _nearest_single)
    return _nearest_single(text)


def _held(text: str, nearest: Callable[[str], float | Failure]) -> float | Failure:
    if len(text) > _LENGTH_MAX:  # far above the largest double
        return Failure.RANGE
    value = nearest(text)
    if isinstance(value, Failure) or int(value) != int(text):
        return Failure.RANGE
    return value


def _nearest_double(text: str) -> float | Failure:
    value = float(text)
    return Failure.RANGE if value in (float("inf"), float("-inf")) else value


def _nearest_single(text: str) -> float | Failure:
    wide = float(text)
    if abs(wide) > 2.0**128:
        return Failure.RANGE
    near = _round_to_single(wide)
    if near == wide:
        return near if abs(near) < 2.0**128 else Failure.RANGE
    other = _neighbour(near, wide)
    if abs(wide - near) == abs(other - wide):
        # The double lies exactly between two floats: the text itself decides, or rounding twice
        # would give another float than rounding once.
        exact, middle = Decimal(text), Decimal(wide)
        if exact != middle:
            near = max(near, other) if exact > middle else min(near, other)
    return near if abs(near) < 2.0**128 else Failure.RANGE


def _round_to_single(wide: float) -> float:
    try:
        return float(struct.unpack("<f", struct.pack("<f", wide))[0])
    except OverflowError:
        return 2.0**128 if wide > 0 else -(2.0**128)


def _neighbour(near: float, towards: float) -> float:
    """The float beside `near` on the side of `towards`; 2**128 stands above the largest."""
    magnitude = abs(near)
    if magnitude == 2.0**128:
        beside = (2.0 - 2.0**-23) * 2.0**127
    else:
        bits = struct.unpack("<i", struct.pack("<f", magnitude))[0]
        step = 1 if abs(towards) > magnitude else -1
        beside = _from_bits(bits + step)
    return -beside if towards < 0 else beside


def _from_bits(bits: int) -> float:
    value = float(struct.unpack("<f", struct.pack("<i", bits))[0])
    return 2.0**128 if value == float("inf") else value
