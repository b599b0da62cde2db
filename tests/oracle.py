"""The slow, obvious kernel: one character, one field, one rule at a time.

Written from the rules alone, sharing no code with the product, and working on the fields as the
schema file spells them. Numbers are fractions, so nothing here can round.
"""

# ruff: noqa: C901, PLR0911  # one rule after the other, as in the contract, is obvious
from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from tests.oracle_json import NUMBER, BadError, Node, Reader

Spec = dict[str, Any]

_PLAIN = r"-?[0-9]+"
_TIME = (
    r"(\d\d\d\d)-(\d\d)-(\d\d)[Tt ]([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d+))?"
    r"(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))?"
)
_UNITS = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # everything here counts from it, in UTC


class Verdict(NamedTuple):
    """A row with what is kept beside it, or all problems as (code, path)."""

    row: dict[str, Any] | None
    rescued: str | None
    problems: list[tuple[str, str | None]]


def fits(text: str, kind: str) -> Any:
    """A number's text as a value of an int, long, float, double or decimal column."""
    if kind in ("float", "double"):
        return nearest(text, kind)
    if len(text) > 400 or abs(int([*re.split("[eE]", text), "0"][1])) > 400:
        raise BadError("field.range")
    number = Fraction(text)
    if kind.startswith("decimal"):
        precision, scale = map(int, re.findall("[0-9]+", kind))
        scaled = number * 10**scale
        if scaled.denominator != 1 or abs(scaled) >= 10**precision:
            raise BadError("field.range")
        return number
    if number.denominator != 1:
        raise BadError("field.type")
    bound = 2**31 if kind == "int" else 2**63
    if not -bound <= number < bound:
        raise BadError("field.range")
    return int(number)


def nearest(text: str, kind: str) -> float:
    """The nearest float or double, judged by its distance and not by a rounding routine."""
    plain = re.fullmatch(_PLAIN, text) is not None
    value = float(text)
    if abs(value) == float("inf") or (plain and len(text) > 400):
        raise BadError("field.range")
    if kind == "float":
        with np.errstate(over="ignore", under="ignore"):
            middle = np.float32(value)
            around = [np.nextafter(middle, np.float32(end)) for end in (-np.inf, np.inf)]
        exact = Fraction(text) if abs(value) > 1e-60 else Fraction(value)
        beyond = {np.inf: 2**128, -np.inf: -(2**128)}
        choices = [(Fraction(beyond.get(float(one), float(one))), one) for one in (middle, *around)]
        even = [int(one.view(np.int32)) & 1 for _, one in choices]
        best = min(range(3), key=lambda index: (abs(choices[index][0] - exact), even[index]))
        value = float(choices[best][1])
        if abs(value) == float("inf"):
            raise BadError("field.range")
    if plain and int(value) != int(text):
        raise BadError("field.range")
    return value


def number_of(text: str, spec: Spec, coerce: str) -> Any:
    """A JSON number for a numeric column; `strict` takes integers only where one is needed."""
    kind = spec["type"]
    value = fits(text, kind)
    if coerce == "strict" and kind in ("int", "long") and not re.fullmatch(_PLAIN, text):
        raise BadError("field.type")
    return value


def instant(text: str, zone: str | None) -> int:
    """Microseconds of an RFC 3339 text."""
    found = re.fullmatch(_TIME, text, re.ASCII)
    if found is None or (text[-1] not in "Zz" and found[8] is None and zone is None):
        raise BadError("field.format")
    try:
        wall = datetime(*map(int, found.groups()[:6]))  # type: ignore[arg-type]  # noqa: DTZ001  # six numbers; UTC
    except ValueError:
        raise BadError("field.format") from None
    sign, hours, minutes = found.groups()[7:]
    if sign is None and text[-1] not in "Zz" and zone not in ("UTC", None):
        sign, hours, minutes = zone[0], zone[1:3], zone[4:6]
    east = (int(hours) * 60 + int(minutes)) * (-1 if sign == "-" else 1) if sign else 0
    seconds = (wall - _EPOCH) // timedelta(seconds=1) - east * 60
    return within(seconds * 1_000_000 + int((found[7] or "").ljust(6, "0")[:6]))


def within(microseconds: int) -> int:
    if not -719_162 <= microseconds // 86_400_000_000 <= 2_932_896:  # days of 0001 to 9999
        raise BadError("field.range")
    return microseconds


def timestamp_of(node: Node, spec: Spec, coerce: str) -> int:
    formats = spec.get("formats", ["rfc3339"])
    unit = next((_UNITS[name] for name in formats if name != "rfc3339"), None)
    if node.kind == "number" and unit:
        return within(number_of(node.text, {"type": "long"}, coerce) * unit)
    if node.kind != "string":
        raise BadError("field.type")
    if "rfc3339" in formats:
        try:
            return instant(node.inside, spec.get("timezone"))
        except BadError as error:
            if str(error) != "field.format":
                raise
    if unit and coerce == "safe" and re.fullmatch(NUMBER, node.inside):
        try:
            count = fits(node.inside, "long")
        except BadError:
            raise BadError("field.format") from None
        return within(count * unit)
    raise BadError("field.format")


def date_of(node: Node, coerce: str) -> int:
    if node.kind != "string":
        raise BadError("field.type")
    if re.fullmatch(r"\d\d\d\d-\d\d-\d\d", node.inside, re.ASCII):
        try:
            return (date.fromisoformat(node.inside) - date(1970, 1, 1)).days
        except ValueError:
            raise BadError("field.format") from None
    if coerce == "strict":
        raise BadError("field.format")
    moment = instant(node.inside, None)
    fraction = re.search(r"\.(\d+)", node.inside)
    if moment % 86_400_000_000 or (fraction and fraction[1].strip("0")):
        raise BadError("field.format")
    return moment // 86_400_000_000


def binary_of(node: Node) -> bytes:
    if node.kind != "string":
        raise BadError("field.type")
    try:
        data = base64.b64decode(node.inside, validate=True)
    except ValueError:
        raise BadError("field.format") from None
    if base64.b64encode(data).decode() != node.inside:
        raise BadError("field.format")
    return data


def convert(node: Node, spec: Spec, coerce: str) -> Any:
    """A value of the field's column; None is null."""
    kind, safe = spec["type"], coerce == "safe"
    if kind == "json":
        return node.text
    if kind == "timestamp":
        return timestamp_of(node, spec, coerce)
    if kind == "date":
        return date_of(node, coerce)
    if kind == "binary":
        return binary_of(node)
    if kind == "string":
        if node.kind == "string":
            return node.inside
        if safe and node.kind in ("number", "true", "false"):
            return node.text
    elif kind == "boolean":
        if node.kind in ("true", "false"):
            return node.kind == "true"
        if safe and node.kind == "string" and node.inside in ("true", "false"):
            return node.inside == "true"
    elif node.kind == "number":
        return number_of(node.text, spec, coerce)
    elif (
        node.kind == "string"
        and (safe or kind.startswith("decimal"))
        and re.fullmatch(NUMBER, node.inside)
    ):
        return fits(node.inside, kind)
    raise BadError("field.type")


def normalised(text: str, rules: Sequence[str]) -> str | None:
    def blank(letter: str) -> bool:
        return letter.isspace() and letter not in "\x1c\x1d\x1e\x1f"

    for rule in rules:
        if rule == "trim":
            while text and blank(text[0]):
                text = text[1:]
            while text and blank(text[-1]):
                text = text[:-1]
        elif rule == "collapse_spaces":
            spaced = "".join(" " if blank(letter) else letter for letter in text)
            text = re.sub(" +", " ", spaced)
        elif rule == "empty_to_null":
            if not text:
                return None
        else:
            text = text.lower() if rule == "lower" else text.upper()
    return text


def setting(value: Any, spec: Spec) -> Any:
    """A value of the schema file as a value of the column."""
    if spec["type"] == "json":
        return value
    text = json.dumps(value) if isinstance(value, str | bool) else str(value)
    return convert(Reader(text, 1).whole(), spec, "strict")


def found_at(top: Node, path: str) -> Node | None:
    node: Node | None = top
    for index, key in re.findall(r"\[([0-9]+)\]|([^.\[\]]+)", path):
        if node is None:
            return None
        if key:
            node = node.inside.get(key) if node.kind == "object" else None
        else:
            items = node.inside if node.kind == "array" else []
            node = items[int(index)] if int(index) < len(items) else None
    return node


def path_of(spec: Spec) -> str:
    return str(spec.get("from", spec["name"]))


def field_value(spec: Spec, top: Node, coerce: str) -> Any:
    """The value of one field, or the code of what is wrong with it."""
    node = found_at(top, path_of(spec))
    if node is None:
        if spec.get("required"):
            raise BadError("field.missing")
        return setting(spec["default"], spec) if "default" in spec else None
    if node.kind == "string" and spec.get("normalise"):
        text = normalised(node.inside, spec["normalise"])
        node = Node("null", "", None) if text is None else Node("string", "", text)
    if node.kind == "null":
        if spec.get("required"):
            raise BadError("field.null")
        return None
    value = convert(node, spec, coerce)
    if "enum" in spec and value not in [setting(one, spec) for one in spec["enum"]]:
        raise BadError("field.enum")
    if "pattern" in spec and not re.fullmatch(spec["pattern"], value):
        raise BadError("field.pattern")
    if "minimum" in spec and value < setting(spec["minimum"], spec):
        raise BadError("field.range")
    if "maximum" in spec and value > setting(spec["maximum"], spec):
        raise BadError("field.range")
    return value


def opened(value: bytes | None, options: Spec) -> Node:
    """The event, by the order of the checks."""
    if value is None:
        raise BadError("record.tombstone")
    if len(value) > options.get("max_record_bytes", 2**20):
        raise BadError("record.too_large")
    if not value.strip(b" \t\r\n"):
        raise BadError("record.empty")
    if value[:3] == b"\xef\xbb\xbf":
        raise BadError("encoding.bom")
    if value[0] == 0:
        raise BadError("encoding.registry_framing")
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        raise BadError("encoding.utf8") from None
    top = Reader(text, options.get("max_depth", 128)).whole()
    if top.kind != "object":
        raise BadError("json.not_object")
    return top


def judge(value: bytes | None, specs: Sequence[Spec], options: Spec) -> Verdict:
    """What must become of a value."""
    try:
        top = opened(value, options)
    except BadError as error:
        return Verdict(None, None, [(str(error), None)])
    unknown = options.get("unknown_fields", "rescue")
    row: dict[str, Any] = {}
    problems: list[tuple[str, str | None]] = []
    keep: set[str] = set()
    paths = {one["name"]: path_of(one) for one in specs}
    for spec in specs:
        row[spec["name"]] = None
        try:
            row[spec["name"]] = field_value(spec, top, options.get("coerce", "safe"))
        except BadError as error:
            if spec.get("on_error") == "rescue":
                keep.add(re.split(r"[.\[]", paths[spec["name"]])[0])
            else:
                problems.append((str(error), paths[spec["name"]]))
    read_whole = {path for path in paths.values() if "." not in path and "[" not in path}
    named = {re.split(r"[.\[]", path)[0] for path in paths.values()}
    if unknown == "reject":
        problems += [("field.unknown", key) for key in top.inside if key not in named]
    if problems:
        return Verdict(None, None, problems)
    if unknown == "rescue":
        keep |= {key for key in top.inside if key not in read_whole}
    kept = [f"{quoted(key)}:{one.text}" for key, one in top.inside.items() if key in keep]
    return Verdict(row, "{" + ",".join(kept) + "}" if kept else None, [])


def quoted(key: str) -> str:
    """A key with no more escapes than JSON demands."""
    return json.dumps(key, ensure_ascii=False)
