"""References: what they become, where they come from, and what they can never do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from stream_processor.runtime.config_problems import Problem
from stream_processor.runtime.config_references import VALUE_BYTES_MAX, References
from stream_processor.runtime.config_yaml import Document, read_text


def resolved(
    text: str, environment: Mapping[str, str] | None = None, folder: Path = Path("/nowhere")
) -> tuple[Document, References]:
    document = read_text("pipeline.yaml", text)
    assert document.problems == []
    references = References(environment or {}, folder)
    references.resolve(document)
    return document, references


def problem(text: str, environment: Mapping[str, str], folder: Path = Path("/nowhere")) -> Problem:
    document, _ = resolved(text, environment, folder)
    (found,) = document.problems
    return found


@pytest.mark.parametrize(
    ("written", "environment", "value"),
    [
        ("${A}", {"A": "x"}, "x"),
        ("a ${A}${B} b", {"A": "x", "B": "y"}, "a xy b"),
        ("${A:-z}", {}, "z"),
        ("${A:-z}", {"A": ""}, "z"),
        ("${A:-z}", {"A": "x"}, "x"),
        ("a${A:-}b", {}, "ab"),
        ("${A:-s3://b:9/x}", {}, "s3://b:9/x"),
        ("${A:?why}", {"A": "x"}, "x"),
        ("a${A}", {"A": ""}, "a"),
        ("$${A}", {}, "${A}"),
        ("$${A} ${A}", {"A": "x"}, "${A} x"),
        ("$A costs 5$", {"A": "x"}, "$A costs 5$"),
        ("${A}", {"A": "${B}", "B": "y"}, "${B}"),
        ("${A}", {"A": "a: {b: [1]}"}, "a: {b: [1]}"),
        ("${A}", {"A": "'\"\\#&*!|>%@"}, "'\"\\#&*!|>%@"),
    ],
)
def test_what_a_reference_becomes(written: str, environment: Mapping[str, str], value: str) -> None:
    """A value is one text, taken as it is: never parsed, never resolved again."""
    document, _ = resolved(f"key: '{written}'", environment)
    assert document.value == {"key": value}
    assert document.problems == []


@pytest.mark.parametrize(
    ("written", "environment", "message"),
    [
        ("${A}", {}, "environment variable A is not set"),
        ("${A:?who reads}", {}, "environment variable A is not set: who reads"),
        ("${A:?who reads}", {"A": ""}, "environment variable A is empty: who reads"),
        ("${A}", {"A": "x", "A_FILE": "/y"}, "A and A_FILE are both set"),
        ("${A}", {"A": "x\ny"}, "environment variable A holds a line break"),
        ("${A}", {"A": "x\udcff"}, "environment variable A holds a line break or a character"),
        ("${A}", {"A_FILE": "/nowhere/a"}, "the file that A_FILE names does not exist"),
        ("${file:gone}", {}, "the file gone does not exist"),
        ("${file:}", {}, "not a reference"),
        ("${}", {}, "not a reference"),
        ("${A", {}, "not a reference"),
        ("${A B}", {}, "not a reference"),
        ("${A-z}", {}, "not a reference"),
        ("${A:-${B}}", {"B": "x"}, "not a reference"),
    ],
)
def test_a_reference_without_a_value_is_an_error_at_its_place(
    written: str, environment: Mapping[str, str], message: str
) -> None:
    """The person must find the variable, the line and the way out."""
    found = problem(f"a: 1\nkey: 'x {written}'", environment)
    assert found.message.startswith(message)
    assert (found.file, found.line, found.column) == ("pipeline.yaml", 2, 9)
    assert found.hint or "does not exist" in found.message


def test_a_reference_that_gives_nothing_leaves_its_key_out() -> None:
    """`endpoint: "${S3_ENDPOINT:-}"` means: the default, unless somebody says otherwise."""
    document, _ = resolved("{a: '${A:-}', b: '${A:-}${B:-}', c: '', d: ['${A:-}']}")
    assert document.value == {"c": "", "d": ("",)}


def test_a_file_is_looked_for_beside_the_pipeline_file(tmp_path: Path) -> None:
    """A pipeline and its secrets can be moved together; one line break at the end is no secret."""
    (tmp_path / "one").write_bytes(b"x\n\n")
    (tmp_path / "two").write_bytes(b"y\r\n")
    (tmp_path / "three").write_bytes(b"z")
    text = "{a: '${file:one}', b: '${file:two}', c: '${file:./three}'}"
    document, _ = resolved(text, folder=tmp_path)
    assert document.value == {"a": "x\n", "b": "y", "c": "z"}


def test_a_variable_may_name_the_file_that_holds_its_value(tmp_path: Path) -> None:
    """What official images do with `*_FILE`."""
    (tmp_path / "secret").write_text("x\n")
    document, references = resolved("a: '${A}'", {"A_FILE": str(tmp_path / "secret")})
    assert document.value == {"a": "x"}
    assert references.origins == {("a",): f"file {tmp_path}/secret (variable A_FILE)"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff", "the file secret is not UTF-8 text"),
        (b"a\x00b", "the file secret is not text"),
        (b"a" * (VALUE_BYTES_MAX + 1), "the file secret is larger than 65,536 bytes"),
    ],
)
def test_a_file_that_cannot_be_a_value_is_refused(
    tmp_path: Path, data: bytes, message: str
) -> None:
    """The wrong file, a huge or a binary one, must not become a password."""
    (tmp_path / "secret").write_bytes(data)
    assert problem("key: '${file:secret}'", {}, tmp_path).message == message


def test_a_folder_and_a_name_that_cannot_be_are_refused(tmp_path: Path) -> None:
    """Whatever stands there, the answer is a sentence."""
    assert "does not exist" in problem("key: '${file:.}'", {}, tmp_path).message
    assert "the file" in problem(f"key: '${{file:{'a' * 300}}}'", {}, tmp_path).message
    assert "A_FILE" in problem("key: '${A}'", {"A_FILE": "a\x00b"}, tmp_path).message


def test_only_values_have_references() -> None:
    """Numbers, keys and lists keep their shape."""
    document, _ = resolved("{a: [1, true, null, {b: '${A}'}]}", {"A": "x"})
    assert document.value == {"a": (1, True, None, {"b": "x"})}
    keys: Any = read_text("pipeline.yaml", "'${A}': 1").problems
    assert [each.message for each in keys] == ["a key must be plain text without references"]


def test_the_origin_of_a_value_is_remembered(tmp_path: Path) -> None:
    """`config show` says which variable, file or default gave a value."""
    (tmp_path / "f").write_text("x")
    text = "{a: '${A}', b: ['${A}', '${B:-y}'], c: '${A}${file:f}${A}', d: plain, e: '$${A}'}"
    _, references = resolved(text, {"A": "x"}, tmp_path)
    assert references.origins == {
        ("a",): "variable A",
        ("b", 0): "variable A",
        ("b", 1): "default of variable B",
        ("c",): "variable A, file f",
    }
