"""Hypothesis: schemas as files spell them, and events that meet them at their edges."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests import tokens

_SETTINGS: dict[str, list[Any]] = {
    "string": ["red", "", "EUR", "žluť"],
    "int": [0, -1, 100],
    "long": [0, 1700000000123, 2**62],
    "float": [0, 0.5, 16777216],
    "double": [0, 0.1, 1e22],
    "decimal(12,2)": [0, "1.50", 100],
    "decimal(38,38)": [0, "0.1"],
    "decimal(3,0)": [0, 7],
    "boolean": [True, False],
    "date": ["2026-11-23", "0001-01-01"],
    "timestamp": ["2026-11-23T10:00:00Z"],
    "binary": ["AAH/"],
    "json": ['{"a": 1}', "7"],
}
_ORDERED = set(_SETTINGS) - {"string", "boolean", "binary", "json"}
_RULES = ["trim", "lower", "upper", "collapse_spaces", "empty_to_null"]
_PATHS = ["a", "a.b", "a[0]", "a.b[1].c", "b", "žluť", "a.b2", "id"]
_FORMATS = [["rfc3339"], ["epoch_ms"], ["rfc3339", "epoch_s"], ["epoch_us", "rfc3339"]]
_KEYS = ["a", "b", "id", "f0", "f1", "f2", "f3", "x", "", "žluť", "a.b", "\\u0061", "\\n", "A"]


@st.composite
def _field(draw: st.DrawFn, index: int) -> dict[str, Any]:
    kind = draw(st.sampled_from(sorted(_SETTINGS)))
    spec: dict[str, Any] = {"name": f"f{index}", "type": kind}
    some = st.sampled_from(_SETTINGS[kind])
    if draw(st.booleans()):
        spec["from"] = draw(st.sampled_from(_PATHS))
    if kind == "timestamp" and draw(st.booleans()):
        spec["formats"] = draw(st.sampled_from(_FORMATS))
    if (
        kind == "timestamp"
        and "rfc3339" in spec.get("formats", ["rfc3339"])
        and draw(st.booleans())
    ):
        spec["timezone"] = draw(st.sampled_from(["UTC", "+02:00", "-23:59"]))
    if kind != "json" and draw(st.booleans()):
        spec["normalise"] = draw(st.lists(st.sampled_from(_RULES), max_size=3))
    if draw(st.integers(0, 3)) == 0:
        spec["on_error"] = "rescue"
    return spec | draw(_limits(kind, some, spec))


@st.composite
def _limits(
    draw: st.DrawFn, kind: str, some: st.SearchStrategy[Any], spec: dict[str, Any]
) -> dict[str, Any]:
    """At most one limit, so that the settings cannot contradict each other."""
    if kind == "timestamp" and "rfc3339" not in spec.get("formats", ["rfc3339"]):
        some = st.just(1700000000123)
    choice = draw(st.sampled_from(["", "", "required", "default", "limit", "limit+required"]))
    found: dict[str, Any] = {"required": True} if "required" in choice else {}
    if choice == "default":
        found["default"] = draw(some)
    if "limit" in choice and kind in _ORDERED:
        found[draw(st.sampled_from(["minimum", "maximum"]))] = draw(some)
    elif "limit" in choice and kind == "string":
        found["pattern"] = draw(st.sampled_from(["[A-Z]{2}[0-9]{3}", "a?|.*7", "[^a]*"]))
    elif "limit" in choice and kind not in ("json", "binary"):
        found["enum"] = draw(st.lists(some, min_size=1, max_size=2, unique_by=repr))
    return found


schemas = st.integers(1, 4).flatmap(lambda count: st.tuples(*(_field(i) for i in range(count))))
"""One to four fields."""

options = st.fixed_dictionaries(
    {
        "coerce": st.sampled_from(["safe", "strict"]),
        "unknown_fields": st.sampled_from(["rescue", "drop", "reject"]),
        "max_depth": st.sampled_from([128, 128, 4]),
        "max_record_bytes": st.sampled_from([2**20, 2**20, 300]),
    }
)

_blank = st.sampled_from(["", "", "", "", " ", "\n\t"])
_value = st.sampled_from(tokens.VALUES) | st.text(max_size=5).map(
    lambda text: '"' + text.replace("\\", "").replace('"', "") + '"'
)


@st.composite
def event(draw: st.DrawFn) -> bytes:
    """The text of an object with up to six members; now and then it is none."""
    members = draw(st.lists(st.tuples(st.sampled_from(_KEYS), _value), max_size=6))
    parts = [f'{draw(_blank)}"{key}"{draw(_blank)}:{text}' for key, text in members]
    text = draw(_blank) + "{" + ",".join(parts) + "}" + draw(_blank)
    return text.encode("utf-8", "surrogatepass")


values = event() | event() | event() | st.binary(max_size=12) | st.none()
"""What Kafka may bring: mostly events, also bytes of any kind, also nothing."""
