"""The small, strict part of YAML that is read, and its places."""

from __future__ import annotations

from decimal import Decimal

import pytest

from stream_processor.runtime.config_yaml import NODES_MAX, Document, read_text, read_yaml


def only_problem(document: Document) -> tuple[int, int, str]:
    (problem,) = document.problems
    return problem.line, problem.column, problem.message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NO", "NO"),
        ("yes", "yes"),
        ("True", "True"),
        ("true", True),
        ("~", None),
        ("", None),
        ("'true'", "true"),
        ("7", 7),
        ('"7"', "7"),
        ("-0", 0),
        ("007", "007"),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("12:30:45", "12:30:45"),
        ("2026-11-01", "2026-11-01"),
        ("0.10", Decimal("0.10")),
        ("1e3", Decimal("1e3")),
        (".inf", ".inf"),
        ("1e9999", "1e9999"),
    ],
)
def test_a_scalar_is_what_json_would_make_of_it(text: str, value: object) -> None:
    """YAML 1.1 turns Norway into false and 12:30 into 750."""
    read = read_text("f.yaml", f"key: {text}").value["key"]
    assert read == value
    assert type(read) is type(value)


def test_every_value_and_key_has_its_place() -> None:
    """An error without a line is an error that is searched for."""
    document = read_text("f.yaml", "a:\n  b: [x, {c: 'long'}]\n")
    place = document.place(("a", "b", 1, "c"))
    assert (place.value.line, place.value.column, place.value.width) == (2, 14, 6)
    assert place.key is not None
    assert (place.key.line, place.key.column, place.key.width) == (2, 11, 1)
    assert document.value == {"a": {"b": ("x", {"c": "long"})}}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3\n", (3, 1, 'the key "a" stands twice')),
        ("a: {x: 1, x: 2}", (1, 11, 'the key "x" stands twice')),
        ("a: &x 1", (1, 4, "anchors (&) are not supported")),
        ("a: !!python/object:os.system x", (1, 4, "tags (!) are not supported")),
        ("a: 1\n---\nb: 2\n", (2, 1, "a second document begins here; one file holds one")),
        ("? [a]\n: 1\n", (1, 3, "a key must be text")),
        ("${A}: 1\n", (1, 1, "a key must be plain text without references")),
        ('a: "\\0"', (1, 4, "the text holds a character that is not text")),
        (
            "a:\n\tb: 1\n",
            (2, 1, "not valid YAML: found character '\\t' that cannot start any token"),
        ),
        ("a: [1, 2\n", (2, 1, "not valid YAML: expected ',' or ']', but got '<stream end>'")),
        ("a: b\x07c", (1, 5, "the file holds a control character")),
    ],
)
def test_what_is_refused_is_refused_with_its_place(
    text: str, problem: tuple[int, int, str]
) -> None:
    """Whatever can surprise a reader of the file is not in the language."""
    assert only_problem(read_text("f.yaml", text)) == problem


def test_an_alias_is_refused_and_the_rest_is_read() -> None:
    """Nine lines of aliases can grow to gigabytes."""
    document = read_text("f.yaml", "a: &x [1]\nb: *x\nc: 1\nc: 2\n")
    assert [(each.line, each.message) for each in document.problems] == [
        (1, "anchors (&) are not supported"),
        (2, "aliases (*) are not supported"),
        (4, 'the key "c" stands twice'),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "nested deeper than 32 levels"),
        ("a: [" + "x," * NODES_MAX + "]", "more than 20,000 values"),
        ("a: " + "1" * 5000, "the number is too long"),
    ],
    ids=["deep", "wide", "long"],
)
def test_a_hostile_file_is_bounded(text: str, message: str) -> None:
    """A check service that reads files of strangers must survive them."""
    assert only_problem(read_text("f.yaml", text))[2] == message


def test_bytes_that_are_not_text_are_shown_with_their_place() -> None:
    """An editor that saves in Latin-1 is found by the letter that it broke."""
    document = read_yaml("f.yaml", "a: x\nb: caf\xe9\n".encode("latin-1"))
    assert only_problem(document) == (2, 7, "the file is not UTF-8 text")
    assert only_problem(read_yaml("f.yaml", b"x" * (2**20 + 1)))[2].startswith("the file is larger")


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    """Editors on Windows write one."""
    assert read_yaml("f.yaml", b"\xef\xbb\xbfa: 1").value == {"a": 1}
