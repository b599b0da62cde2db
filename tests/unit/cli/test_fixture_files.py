"""`test`: fixture files are judged by the very kernel, and a difference says what to look at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stream_processor.operations.fixtures import fixtures_beside
from tests.unit.cli.conftest import Command, Ended, Golden
from tests.unit.cli.hostile import NASTY, assert_harmless, assert_no_markup

ROOT = Path(__file__).parents[3]
SCHEMA = """
version: 1
name: all
fields:
  - {name: id, type: long, required: true}
  - {name: price, type: "decimal(12,2)", from: cost.net}
  - {name: ratio, type: float}
  - {name: paid, type: boolean}
  - {name: day, type: date}
  - {name: at, type: timestamp}
  - {name: blob, type: binary}
  - {name: note, type: string}
"""
EVENT = (
    '{id: 7, cost: {net: "12.50"}, ratio: 0.1, paid: true, day: 2026-11-20,'
    ' at: "2026-11-20T10:00:00+01:00", blob: AP8=, note: "7"}'
)


def ran(command: Command, tests: str, *flags: str) -> Ended:
    """One fixture file with these tests, below a schema of every type."""
    Path("all.yaml").write_text(SCHEMA)
    Path("a.test.yaml").write_text(f"version: 1\nschema: all.yaml\ntests:\n{tests}")
    return command("test", "a.test.yaml", *flags)


def one(event: str, expect: str) -> str:
    return f"  - name: one\n    input: [{{value: {event}}}]\n    expect: {expect}\n"


def test_the_tests_that_are_shipped_pass(command: Command) -> None:
    """They are what people copy, and the first thing that `test` without a word runs."""
    example = ROOT / "examples" / "orders"
    named = command("test", str(example / "tests.yaml"))
    beside = command("test", "--pipeline", str(example / "pipeline.yaml"))
    assert named.out.endswith("6 passed, 0 failed\n")
    assert beside.out == named.out
    assert command("test").out.endswith("3 passed, 0 failed\n")


def test_values_are_compared_by_the_type_of_their_column(command: Command) -> None:
    """A person writes 12.5, an instant in any zone, or a number as text, and means the same."""
    same = (
        "{rows: [{id: 7, price: 12.5, ratio: 0.1, paid: true, day: 2026-11-20,"
        ' at: "2026-11-20T09:00:00Z", blob: AP8=, note: "7",'
        ' _rescued: \'{"cost":{"net":"12.50"}}\'}], match: exact}'
    )
    ended = ran(command, one(EVENT, same) + one(EVENT, "{rows: [{price: '12.50'}]}"))
    assert (ended.code, ended.err) == (0, "")


@pytest.mark.parametrize(
    ("expect", "difference"),
    [
        ("{rows: [{id: 8}]}", "rows[0].id: expected 8, got 7"),
        ("{rows: [{price: 12.51}]}", "rows[0].price: expected 12.51, got 12.50"),
        ("{rows: [{note: null}]}", 'rows[0].note: expected null, got "7"'),
        ("{rows: [{paid: false}]}", "rows[0].paid: expected false, got true"),
        (
            "{rows: [{id: 7, day: 2026-11-21}, {id: 7}]}",
            "rows[0]: expected id=7 day=2026-11-21, got nothing",
        ),
        (
            "{dlq: [{code: field.type}]}",
            'dlq[0]: expected a dead letter with code="field.type", got a row: id=7 ',
        ),
        ("{}", "rows: expected no more, got id=7 "),
        ("{rows: [{id: 7}], match: exact}", "rows[0].price: expected null, got 12.50"),
        ("{rows: [{id: 7}], skipped: [{}]}", "skipped[0]: expected any, got nothing"),
    ],
)
def test_a_difference_names_its_place(command: Command, expect: str, difference: str) -> None:
    """Whoever reads it must know which value to look at, without a debugger."""
    ended = ran(command, one(EVENT, expect))
    assert ended.code == 1
    assert difference in ended.out
    assert ended.out.endswith("0 passed, 1 failed\n")


def test_a_row_that_became_a_dead_letter(command: Command, golden: Golden) -> None:
    """The most common failure says its cause at once: stage, code, field and what was found."""
    tests = (
        one(EVENT, "{rows: [{id: 7}]}")
        + one('{id: 1, cost: {net: "12,50"}}', "{rows: [{id: 1, price: 12.50}]}")
        + one("'{'", "{rows: [{id: 1}]}")
    )
    ended = ran(command, tests)
    assert ended.code == 1
    golden("test-failed", ended.out)


def test_one_missing_record_is_one_difference(command: Command) -> None:
    """With more events than expected, those that fit are paired, not merely those in line."""
    events = ", ".join(f"{{value: {{id: {n}}}}}" for n in (1, 2, 3))
    tests = f"  - name: many\n    input: [{events}]\n    expect: {{rows: [{{id: 2}}, {{id: 3}}]}}\n"
    ended = ran(command, tests)
    assert [line for line in ended.out.splitlines() if line.startswith(" " * 8)] == [
        "        rows: expected no more, got id=1"
    ]


def test_keys_headers_bytes_and_tombstones(command: Command) -> None:
    """Whatever Kafka may bring can be written down, also what is no text and no value at all."""
    Path("p.yaml").write_text(
        "version: 1\nname: p\nsource: {kafka: {bootstrap_servers: '${WHERE}', topics: [t]}}\n"
        "schema: {file: all.yaml}\ntombstone: skip\n"
        "sink: {delta: {table: lake/t, metadata: [key, headers]}}\n"
    )
    Path("all.yaml").write_text(SCHEMA)
    Path("b.test.yaml").write_text(
        "version: 1\npipeline: p.yaml\nenvironment: {WHERE: 'nowhere:1'}\n"
        "clock: 2026-11-23T12:00:00Z\ntests:\n"
        "  - name: exact\n    input:\n"
        "      - {value_base64: eyJpZCI6IDF9, key: k,"
        " headers: [{name: a, value: x}, {name: a}, {name: b, value_base64: /w==}]}\n"
        "      - {value: null, key_base64: /w==}\n"
        "      - {value: '{\"id\": '}\n"
        "      - {value: [1]}\n"
        "    expect:\n"
        "      rows: [{id: 1, _kafka_key: aw==, _ingested_at: 2026-11-23T12:00:00Z,"
        " _kafka_headers: [{name: a, value: eA==}, {name: a}, {name: b, value: /w==}]}]\n"
        "      skipped: [{reason: tombstone}]\n"
        "      dlq: [{code: json.syntax, failed_date: 2026-11-23}, {code: json.not_object}]\n"
    )
    ended = command("test", "b.test.yaml")
    assert (ended.code, ended.out.splitlines()[1:]) == (
        0,
        ["  pass  exact   1 row, 2 dead letters, 1 skipped", "1 passed, 0 failed"],
    )


@pytest.mark.parametrize(
    ("tests", "line", "why"),
    [
        ("  - {name: a, input: [], expects: {}}", 4, 'did you mean "expect"?'),
        (one(EVENT, "{rows: [{nole: x}]}"), 6, 'did you mean "note"?'),
        (one(EVENT, "{dlq: [{codes: x}]}"), 6, 'did you mean "code"?'),
        (one(EVENT, "{rows: [{at: noon}]}"), 6, "expected a time like"),
        (one(EVENT, "{rows: [{at: 2026-11-20T09:00:00}]}"), 6, "a time with an offset"),
        (one(EVENT, "{rows: [{price: true}]}"), 6, "expected a number"),
        (one(EVENT, "{rows: [{id: 1.5}]}"), 6, "expected a whole number"),
        (one(EVENT, "{rows: [{blob: '?'}]}"), 6, "expected base64"),
        (one(EVENT, "{rows: [{note: 7}]}"), 6, "a number needs quotes"),
        ("  - {name: a, input: [{key: x}], expect: {}}", 4, "an event needs"),
        ("  - {name: a, input: [{value: x, value_base64: ''}], expect: {}}", 4, "contradict"),
    ],
)
def test_a_wrong_file_is_told_with_its_line(
    command: Command, tests: str, line: int, why: str
) -> None:
    """A misspelt column that is silently not compared would be a test that proves nothing."""
    ended = ran(command, tests)
    assert ended.code == 2
    assert ended.err.startswith(f"a.test.yaml:{line}:")
    assert why in ended.err


def test_nothing_to_run_is_no_success(command: Command, tmp_path: Path) -> None:
    """A build that tests nothing must not be green."""
    ended = command("test", "--pipeline", "pipeline.yaml")
    assert ended.code == 2
    assert "there is no tests.yaml" in ended.err
    for name in ("b.test.yaml", "tests.yaml", "other.yaml"):
        (tmp_path / name).write_text("")
    assert [path.name for path in fixtures_beside(Path("pipeline.yaml"))] == [
        "b.test.yaml",
        "tests.yaml",
    ]


def test_a_pipeline_that_is_named_goes_before_that_of_the_file(command: Command) -> None:
    """So a fixture that stands in one folder judges the copy of the pipeline in another."""
    text = (ROOT / "src/stream_processor/config/orders.yaml").read_text()
    Path("orders.yaml").write_text(text.replace("minimum: 0", "minimum: 100"))
    pipeline = ROOT / "src/stream_processor/config/pipeline.yaml"
    Path("p.yaml").write_text(pipeline.read_text())
    shipped = str(pipeline.parent / "orders.test.yaml")
    assert command("test", shipped).code == 0
    ended = command("test", shipped, "--pipeline", "p.yaml")
    assert ended.code == 1
    assert "rows[0].amount: expected 12.50, got a dead letter" in ended.out


def test_the_answer_in_json(command: Command) -> None:
    """Builds and editors read it."""
    ended = ran(command, one(EVENT, "{rows: [{id: 8}]}"), "--json")
    assert ended.code == 1
    report = json.loads(ended.out)
    assert (report["passed"], report["failed"]) == (0, 1)
    (test,) = report["files"][0]["tests"]
    assert test["differences"] == [
        {"place": "rows[0].id", "expected": "8", "found": "7", "cause": {}}
    ]


def test_what_strangers_wrote_is_harmless(command: Command) -> None:
    """A fixture is often a copy of a hostile event."""
    value = json.dumps(json.dumps({"id": NASTY, NASTY: 1}))
    ended = ran(command, one(value, "{rows: [{id: 1}]}") + one('{id: 1, note: "\\e[2J"}', "{}"))
    assert ended.code == 1
    assert_harmless(ended.out + ended.err)
    assert_no_markup(ended.out)
