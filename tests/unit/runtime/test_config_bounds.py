"""A file can be hostile or generated: what it costs, and what it prints, has limits."""

from __future__ import annotations

import pytest

from stream_processor.config.values import without_user_info
from stream_processor.runtime.config_problems import render
from stream_processor.runtime.config_yaml import FILE_BYTES_MAX, NODES_MAX, read_yaml


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a" * (FILE_BYTES_MAX + 1), "the file is larger than 1,048,576 bytes"),
        (b"[" + b"1," * (NODES_MAX + 1) + b"]", "more than 20,000 values"),
        (b"{" + b"a," * (NODES_MAX + 1) + b"}", "more than 20,000 values"),
        (b"[" * 100_000, "nested deeper than 32 levels"),
        (b"a: &x [1, 1]\nb: [*x, *x]", "aliases (*) are not supported"),
    ],
)
def test_a_file_that_would_grow_is_refused(data: bytes, message: str) -> None:
    """A few kilobytes must never become gigabytes or an overflow of the stack."""
    assert message in [problem.message for problem in read_yaml("f", data).problems]


def test_a_report_ends_after_a_hundred_problems_and_says_how_many_there_are() -> None:
    """The first screen matters; a million lines would hide it."""
    report = render(read_yaml("f", b"a: 1\n" * 501).problems)
    assert report.splitlines()[0] == 'f:2:1  error    the key "a" stands twice'
    assert report.splitlines()[-3:] == ["and 400 more", "", "500 errors"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:secret@host/x", "https://***@host/x"),
        ("https://token@host", "https://***@host"),
        ("me:secret@host:9092", "***@host:9092"),
        ("a:1,me:se@cret@b:2", "***@b:2"),
        ("http://me:se/cret@host", "http://***@host"),
        ("one https://a:b@c two d:e@f", "one https://***@c two ***@f"),
        ("ask ada@example.org", "ask ada@example.org"),
        ("http://host:80/x", "http://host:80/x"),
    ],
)
def test_a_name_and_a_password_in_an_address_are_masked(text: str, shown: str) -> None:
    """They are found in any text, in time that grows with its length only."""
    assert without_user_info(text) == shown
