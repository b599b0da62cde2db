"""A payload on a terminal: every text as it was written, and the mark at the very place."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_processor.cli.dlq_payload import Form, Mark, path_of, shown
from tests.unit.cli.hostile import assert_harmless, assert_no_markup

FORMS: tuple[Form, ...] = ("pretty", "raw", "hex")


def test_pretty_keeps_every_text_and_marks_the_field() -> None:
    """A number that is printed anew may hide the very thing that is wrong with it."""
    value = b'{"a":1.50,"b":[{},{"c" : 1e3}],"d":[],"b2":{"x":null}}'
    marks = [Mark(("b", 1, "c"), "here"), Mark(("b2", "y"), "missing"), Mark(("zz",), "none")]
    assert shown(value, "pretty", marks, 99) == [
        "{",
        "^ none",
        '  "a": 1.50,',
        '  "b": [',
        "    {},",
        "    {",
        '      "c": 1e3',
        "           ^ here",
        "    }",
        "  ],",
        '  "d": [],',
        '  "b2": {',
        "        ^ missing",
        '    "x": null',
        "  }",
        "}",
    ]


def test_of_a_key_that_stands_twice_the_last_one_is_marked() -> None:
    """It is the one that was read."""
    lines = shown(b'{"a":1,"a":2}', "pretty", [Mark(("a",), "x")], 9)
    assert lines.index("       ^ x") == lines.index('  "a": 2') + 1


def test_raw_marks_a_byte_behind_wide_letters_and_escapes() -> None:
    """A byte is not a column: letters take several bytes, and some two columns."""
    value = '{"注文": "é\n'.encode() + b'", \x07 }'
    place = value.index(b"\x07")
    assert shown(value, "raw", [Mark(place, "here")], 9) == [
        '{"注文": "é\\n',
        '", \\x07 }',
        "   ^ here",
    ]


def test_the_end_can_be_marked() -> None:
    """A text that ends too early fails behind its last byte."""
    assert shown(b"{", "raw", [Mark(1, "end")], 9) == ["{", " ^ end"]
    assert shown(b"{", "hex", [Mark(1, "end")], 9)[1] == " " * 13 + "^ end"


@pytest.mark.parametrize("form", ["raw", "hex"])
def test_the_marked_place_is_never_left_out(form: Form) -> None:
    """Of a megabyte one wants the line that is broken."""
    value = b"x" * 50_000 + b"!" + b"y" * 50_000
    lines = shown(value, form, [Mark(50_000, "here")], 8)
    assert len(lines) == 11
    assert lines[0].startswith("… lines before: ")
    assert lines[-1].startswith("… lines behind: ")
    assert any("^ here" in line for line in lines)


@settings(max_examples=60, deadline=None)
@given(value=st.binary(max_size=400), place=st.integers(0, 400), form=st.sampled_from(FORMS))
def test_no_bytes_act_on_a_terminal_or_are_lost(value: bytes, place: int, form: Form) -> None:
    """Values are written by strangers, and every one of them can become a dead letter."""
    mark = Mark(min(place, len(value)), "here")
    text = "\n".join(shown(value, form, [mark], 10_000))
    assert_harmless(text)
    assert_no_markup(text)
    if form != "pretty" and value:
        assert text.count("^ here") == 1
    if form == "hex":
        lines = [line for line in text.splitlines() if "^" not in line[:60]]
        assert bytes.fromhex("".join(line[10:57] for line in lines)) == value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('ab{["\\,:é', max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("ab.[", max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None)
@given(value=st.dictionaries(st.text("ab.[", max_size=3), JSON, max_size=4))
def test_pretty_is_the_same_event(value: dict[str, object]) -> None:
    """The lines that a person reads say what the event says."""
    text = json.dumps(value, ensure_ascii=False)
    lines = shown(text.encode(), "pretty", [], 10_000)
    plain = "\n".join(lines).replace("\\x5b", "[")
    assert json.loads(plain) == value


def test_paths_of_problems() -> None:
    """A key that is not in the schema may look like a path and is none."""
    assert path_of("field.type", "a.b[1].c") == ("a", "b", 1, "c")
    assert path_of("field.unknown", "a.b[1]") == ("a.b[1]",)
    assert path_of("field.type", "[[") == ("[[",)
