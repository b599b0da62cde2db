"""Which events are one group, pinned by a file: people know groups by their ids for years.

`UPDATE_GOLDEN=1 pytest` writes the file anew; a changed fingerprint needs a new
`fingerprint.VERSION`, whose file stands beside that of the old one.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from stream_processor.processor import fingerprint
from stream_processor.processor.plan import Plan
from tests import builders
from tests.corpus.test_verdicts import CASES, PLAN

GOLDEN = Path(__file__).parents[2] / "golden" / f"fingerprints-v{fingerprint.VERSION}.json"
CAUSE = ("stage", "code", "field_path", "expected")
SHORT = builders.plan(max_record_bytes=200, max_depth=4)
REJECT = builders.plan(unknown_fields="reject")


def letters(plan: Plan, *values: bytes | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = builders.judge(list(values), plan).dead.to_pylist()
    return found


def order(**members: object) -> bytes:
    good = {"order_id": "O-1", "amount": 1, "created_at": "2026-11-20T09:14:02Z"}
    return json.dumps(
        {key: value for key, value in (good | members).items() if value != ()}
    ).encode()


TWINS = [
    ("encoding.bom", SHORT, (b"\xef\xbb\xbf{}", b'\xef\xbb\xbf{"a":1}')),
    ("encoding.registry_framing", SHORT, (b"\0\0\0\0\1{}", b"\0\0\0\0\2abc")),
    ("encoding.utf8", SHORT, (b'{"a":"\xff"}', b'{"abc":"xyz\xc3"}')),
    ("record.tombstone", SHORT, (None, None)),
    ("record.empty", SHORT, (b"", b" \n\t")),
    ("record.too_large", SHORT, (b"x" * 201, b'{"a":"' + b"y" * 5_000)),
    ("json.syntax", SHORT, (b'{"a":}', b'{"id":12,"longer":[1,2,}')),
    ("json.syntax", SHORT, (b'{"a":', b'{"customer":"6f9619ff-8b86-d011-b42d-00cf4fc964ff"')),
    ("json.not_object", SHORT, (b"1", b"-2.5e7")),
    ("json.not_object", SHORT, (b"[]", b'[{"a":1}]')),
    ("json.too_deep", SHORT, (b"[[[[[", b'{"a":{"b":{"c":{"d":{}}}}}')),
    ("field.missing", SHORT, (order(amount=()), order(amount=(), order_id="x@example.org"))),
    ("field.null", SHORT, (order(amount=None), order(amount=None, order_id="http://a.b/7"))),
    ("field.type", SHORT, (order(amount="12,50"), order(amount={"v": "10.0.0.1"}))),
    ("field.range", SHORT, (order(amount=-1), order(amount=-99.5))),
    ("field.format", SHORT, (order(created_at="yesterday"), order(created_at="2026-11-20"))),
    ("field.enum", SHORT, (order(currency="DM"), order(currency="2026-11-20T09:14:02Z"))),
    ("field.unknown", REJECT, (order(extra=1), order(extra={"a": "b"}))),
]


@pytest.mark.parametrize(("code", "plan", "values"), TWINS, ids=lambda case: str(case)[:20])
def test_other_values_are_the_same_cause(
    code: str, plan: Plan, values: tuple[bytes | None, ...]
) -> None:
    """One group per value would be a list of rows again."""
    found = letters(plan, *values)
    assert [letter["code"] for letter in found] == [code] * len(values)
    assert len({letter["fingerprint"] for letter in found}) == 1


def test_no_two_causes_are_one_group() -> None:
    """What is mended together must have one cause: code, field, expectation, and the sentence."""
    every = [letter for _, plan, values in TWINS for letter in letters(plan, *values)]
    every += letters(PLAN, *(case.value for case in CASES))
    causes = defaultdict(set)
    for letter in every:
        sentence = fingerprint.normalised(letter["message"])
        said = sentence if letter["field_path"] is None else None
        causes[letter["fingerprint"]].add((*(letter[name] for name in CAUSE), said))
    assert [each for each in causes.values() if len(each) > 1] == []
    assert len({cause for each in causes.values() for cause in each}) == len(causes)


def test_the_groups_of_the_corpus_are_pinned() -> None:
    """A group that changes its id overnight looks mended, and its successor looks new."""
    groups: dict[str, dict[str, Any]] = {}
    for case in CASES:
        for letter in letters(PLAN, case.value):
            cause = {name: letter[name] for name in CAUSE}
            group = groups.setdefault(letter["fingerprint"], cause | {"cases": []})
            group["cases"].append(case.name)
    found = json.dumps(dict(sorted(groups.items())), indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(found, encoding="utf-8")
    assert found == GOLDEN.read_text(encoding="utf-8")
