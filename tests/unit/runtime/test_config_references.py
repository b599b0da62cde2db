"""References are resolved after parsing, inside one text at a time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from stream_processor.config.values import ReferencedText
from stream_processor.runtime.config_references import References
from stream_processor.runtime.config_yaml import Document, read_text

ENVIRONMENT = {"A": "one", "EMPTY": "", "EVIL": "x: {y: 1}", "LINES": "a\nb"}


def resolved(text: str, folder: Path = Path(), **more: str) -> Document:
    document = read_text("f.yaml", text)
    environment: Mapping[str, str] = {**ENVIRONMENT, **more}
    References(environment, folder).resolve(document)
    return document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${A}", "one"),
        ("'${A}'", "one"),
        ("x${A}-${A}", "xone-one"),
        ("${B:-two}", "two"),
        ("${EMPTY:-two}", "two"),
        ("${A:-two}", "one"),
        ("${A:?why}", "one"),
        ('"${B:-a b: c}"', "a b: c"),
        ("$${A}", "${A}"),
        ("$${A}${A}", "${A}one"),
        ("$A", "$A"),
        ("${EVIL}", "x: {y: 1}"),
    ],
)
def test_a_reference_becomes_the_text_of_its_variable(text: str, value: str) -> None:
    """The rules are those of the shell, as far as they go."""
    document = resolved(f"key: {text}")
    assert document.problems == []
    assert document.value == {"key": value}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${B}", "environment variable B is not set"),
        ("${B:?brokers}", "environment variable B is not set: brokers"),
        ("${EMPTY:?why}", "environment variable EMPTY is empty: why"),
        ("${LINES}", "environment variable LINES holds a line break"),
        ("${}", "not a reference"),
        ("${1A}", "not a reference"),
        ("${A", "not a reference"),
        ('"${A:-${A}}"', "not a reference"),
        ("${A:+x}", "not a reference"),
        ("${file:nothing/here}", "the file nothing/here does not exist"),
    ],
)
def test_a_reference_without_a_value_is_an_error_at_its_place(text: str, message: str) -> None:
    """A configuration that half resolves would run on the wrong cluster."""
    (problem,) = resolved(f"key: ok\nother: {text}").problems
    assert problem.message.startswith(message)
    assert (problem.line, problem.column) == (2, 9 if text[0] == '"' else 8)


def test_a_variable_cannot_change_the_shape_of_a_file() -> None:
    """Whoever sets a variable may set a value, not add a key."""
    document = resolved("a: {b: '${EVIL}', c: [\"${A}\"]}")
    assert document.value == {"a": {"b": "x: {y: 1}", "c": ("one",)}}
    assert isinstance(document.value["a"]["b"], ReferencedText)


def test_a_key_whose_references_give_nothing_is_left_out() -> None:
    """`endpoint: "${S3_ENDPOINT:-}"` means the default where nothing is set."""
    document = resolved("a: '${B:-}'\nb: '${EMPTY}'\nc: ''")
    assert document.value == {"c": ""}


def test_a_file_gives_its_text_without_the_last_line_break(tmp_path: Path) -> None:
    """Secrets are mounted as files, and `echo` ends them with a line break."""
    (tmp_path / "pem").write_text("line 1\nline 2\n")
    document = resolved("a: '${file:pem}'\nb: '${P}'", tmp_path, P_FILE=str(tmp_path / "pem"))
    assert document.value == {"a": "line 1\nline 2", "b": "line 1\nline 2"}


def unreadable(folder: Path) -> dict[str, Any]:
    (folder / "big").write_bytes(b"x" * 70_000)
    (folder / "binary").write_bytes(b"\xff\xfe")
    (folder / "nul").write_bytes(b"a\x00b")
    (folder / "folder").mkdir()
    return {
        "big": "larger than 65,536 bytes",
        "binary": "is not UTF-8 text",
        "nul": "is not text",
        "folder": "does not exist",
    }


def test_a_file_that_is_no_small_text_is_refused(tmp_path: Path) -> None:
    """A wrong path must not read a disk into memory, nor put bytes into a password."""
    for name, message in unreadable(tmp_path).items():
        (problem,) = resolved(f"a: '${{file:{name}}}'", tmp_path).problems
        assert message in problem.message


def test_a_variable_and_its_file_exclude_each_other() -> None:
    """Nobody can know which of two passwords was meant."""
    (problem,) = resolved("a: ${A}", A_FILE="/run/secrets/a").problems
    assert problem.message == "A and A_FILE are both set"


def test_where_a_value_came_from_is_remembered() -> None:
    """`config show` answers: why is it this one?"""
    document = read_text("f.yaml", "a: ['${A}']\nb: '${B:-x}'\nc: plain")
    references = References(ENVIRONMENT, Path())
    references.resolve(document)
    assert references.origins == {("a", 0): "variable A", ("b",): "default of variable B"}
