"""What varies in a message is replaced, so that the same cause looks the same."""

from __future__ import annotations

import pytest

from stream_processor.processor.fingerprint import fingerprint, normalised


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("id 6F9619FF-8B86-D011-B42D-00CF4FC964FF", "id <uuid>"),
        ("sent by jan.novak+x@example.co.uk today", "sent by <email> today"),
        ("see https://example.com/a?b=1, then", "see <url>, then"),
        ("from 10.0.0.17:80", "from <ip>:<number>"),
        ("from fe80:0:0:1:2:3:4:5", "from <ip>"),
        ("hash d41d8cd98f00b204e9800998ecf8427e", "hash <hash>"),
        ("at 2026-11-23T10:00:00.5+02:00 or 2026-11-23", "at <date> or <date>"),
        ("not JSON at byte 132", "not JSON at byte <number>"),
        ("value -1.5e3 is 7", "value <number> is <number>"),
        ('got "any \\"thing\\"" and `x`', "got <quoted> and <quoted>"),
        ("amount is not decimal(12,2): ``", "amount is not decimal(<number>,<number>): <quoted>"),
        ("deadbeef cafe field7", "deadbeef cafe field7"),
    ],
)
def test_what_varies_becomes_a_placeholder(message: str, expected: str) -> None:
    """One uuid left in place makes one group per event."""
    assert normalised(message) == expected


def test_the_algorithm_of_version_1_never_changes() -> None:
    """Old rows keep their groups; another algorithm is another version."""
    cause = ("validate", "field.type", "amount", "decimal(12,2)")
    found = fingerprint(*cause, "amount is not x 7")
    assert found == "45289176941f6adc6f704d049fd99798"
    assert found == fingerprint(*cause, "amount is not x 8")
    assert found != fingerprint(*cause, "amount is no x 7")
    assert found != fingerprint(
        "validate", "field.type", "amounts", *cause[3:], "amount is not x 7"
    )
