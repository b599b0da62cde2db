"""`try`: one JSON line for each event, with values as JSON can have them."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest

from stream_processor.operations.try_payloads import InputInvalid, envelope_events
from tests.unit.cli.conftest import Command, Golden
from tests.unit.cli.hostile import NASTY, assert_harmless
from tests.unit.cli.test_words import PIPELINE, SCHEMA

VALUE = (
    b'{"id": 7, "paid": true, "price": "12.50", "at": "2026-11-20T10:00:00.5+01:00",'
    b' "blob": "AP8=", "extra": [1.10, {"a":  "b"}]}'
)


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    path = tmp_path / "schema.yaml"
    path.write_text(SCHEMA)
    return path


def envelope(value: bytes | None, **more: Any) -> str:
    text = None if value is None else base64.b64encode(value).decode()
    return json.dumps({"value_base64": text, **more})


def tried(command: Command, tmp_path: Path, lines: list[str], *flags: str) -> list[dict[str, Any]]:
    (tmp_path / "events").write_text("".join(line + "\n" for line in lines))
    ended = command("try", "events", "--schema", "schema.yaml", *flags)
    assert (ended.code, ended.err) == (0, "")
    return [json.loads(line) for line in ended.out.splitlines()]


def test_a_row_in_json(command: Command, schema: Path, tmp_path: Path) -> None:
    """Nothing is lost on the way to JSON: decimals are text, binary is base64, times are UTC."""
    (found,) = tried(command, tmp_path, [envelope(VALUE)])
    row = found["row"]
    assert {name: row[name] for name in ("id", "paid", "price", "at", "blob", "_rescued")} == {
        "id": 7,
        "paid": True,
        "price": "12.50",
        "at": "2026-11-20T09:00:00.500000Z",
        "blob": "AP8=",
        "_rescued": '{"extra":[1.10, {"a":  "b"}]}',
    }


def test_a_dead_letter_keeps_the_exact_bytes(
    command: Command, schema: Path, tmp_path: Path
) -> None:
    """Key, value and headers come back as they went in, duplicates and nulls included."""
    headers = [
        {"name": "a", "value_base64": "AA=="},
        {"name": "a", "value_base64": None},
        ["b", "/w=="],
    ]
    (found,) = tried(command, tmp_path, [envelope(b"\xff{", key_base64="AAE=", headers=headers)])
    letter = found["dead_letter"]
    assert (letter["stage"], letter["code"]) == ("decode", "encoding.utf8")
    assert (letter["key"], letter["value"]) == ("AAE=", "/3s=")
    assert letter["headers"] == [
        {"name": "a", "value": "AA=="},
        {"name": "a", "value": None},
        {"name": "b", "value": "/w=="},
    ]


def test_answers_are_in_the_order_of_the_events(
    command: Command, schema: Path, tmp_path: Path
) -> None:
    """The n-th answer is the n-th event's, also across the steps in which a file is read."""
    bad = [n % 7 == 0 for n in range(3000)]
    lines = [("{" if bad[n] else f'{{"id": {n}}}') + " " * 500 for n in range(3000)]
    found = tried(command, tmp_path, lines, "--input", "raw")
    assert ["dead_letter" in each for each in found] == bad
    assert [each["row"]["id"] for each in found if "row" in each] == [
        n for n in range(3000) if not bad[n]
    ]


def test_raw_lines_are_payloads_byte_for_byte(
    command: Command, schema: Path, tmp_path: Path
) -> None:
    """An empty line is an empty event; the break at the end of a file is not one more."""
    found = tried(command, tmp_path, ['{"id": 1}', "", '{"id": 2}\r'], "--input", "raw")
    assert [next(iter(each)) for each in found] == ["row", "dead_letter", "row"]
    assert found[1]["dead_letter"]["code"] == "record.empty"


def test_a_tombstone_by_the_rule_of_the_pipeline(
    command: Command, schema: Path, tmp_path: Path
) -> None:
    """`tombstone: skip` answers too, so that the answers still stand beside the events."""
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    (tmp_path / "events").write_text(envelope(None) + "\n" + envelope(b'{"id": 1}') + "\n")
    arguments = ("try", "events", "--pipeline", "pipeline.yaml")
    dead, _ = command(*arguments).out.splitlines()
    skipped, row = command(*arguments, "--set", "tombstone=skip").out.splitlines()
    assert json.loads(dead)["dead_letter"]["code"] == "record.tombstone"
    assert json.loads(skipped) == {"skipped": {"reason": "tombstone"}}
    assert json.loads(row)["row"]["id"] == 1


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"value_base64": "e30"}', "not valid base64"),
        ('{"value_base64": "e3€"}', "not valid base64"),
        ('{"key_base64": "e30="}', "missing required field `value_base64`"),
        ('{"value_base64": 7}', "Expected `str | null`, got `int`"),
        ("secret payload", "not valid JSON"),
        ('{"x":' * 100_000, "not valid JSON"),
    ],
)
def test_a_line_that_is_no_envelope(
    command: Command, schema: Path, tmp_path: Path, line: str, why: str
) -> None:
    """It is the input that is wrong, not the event: exit 2 with its number, and not its text."""
    (tmp_path / "events").write_text(f"{envelope(VALUE)}\n\n{line}\n{envelope(VALUE)}\n")
    ended = command("try", "events", "--schema", "schema.yaml")
    assert ended.code == 2
    assert len(ended.out.splitlines()) == 1  # what came before it has its answer
    assert ended.err.startswith("error: line 3 is no envelope: ")
    assert why in ended.err
    assert "secret" not in ended.err


def test_other_keys_of_an_envelope_are_ignored() -> None:
    """Lines of test files and exports can be fed as they are."""
    stream = io.BytesIO(envelope(b"{}", name="x", expect={"row": {}}).encode())
    ((event,),) = envelope_events(stream)
    assert event.value == b"{}"


def test_a_slow_pipe_is_answered_line_by_line() -> None:
    """Whoever types an event sees its verdict before the next one."""

    class Typed(io.RawIOBase):
        def __init__(self) -> None:
            self.left = [b'{"value_base64": "e', b'30="}\n{"val', b'ue_base64": null}\n', b""]

        def read1(self, _size: int) -> bytes:
            return self.left.pop(0)

    typed = Typed()
    answers = envelope_events(typed)  # type: ignore[arg-type]  # the one method that is called
    assert [event.value for event in next(answers)] == [b"{}"]
    assert typed.left == [b'ue_base64": null}\n', b""]
    assert [event.value for event in next(answers)] == [None]


def test_a_line_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded, whatever is fed."""
    monkeypatch.setattr("stream_processor.operations.try_payloads.LINE_BYTES_MAX", 1000)
    with pytest.raises(InputInvalid, match="line 1 is longer"):
        list(envelope_events(io.BytesIO(b"x" * 5000)))


def test_a_schema_and_a_pipeline_contradict_each_other(command: Command, schema: Path) -> None:
    """A flag that would have no effect is an error, not a surprise."""
    ended = command("try", "-", "--schema", "schema.yaml", "--set", "tombstone=skip")
    assert ended.code == 2
    assert "--schema" in ended.err


def test_a_file_that_is_not_there(command: Command, schema: Path) -> None:
    """One sentence, exit 2."""
    ended = command("try", "nowhere", "--schema", "schema.yaml")
    assert ended.code == 2
    assert "nowhere cannot be read" in ended.err


def test_what_strangers_wrote_stays_exact_and_harmless(
    command: Command, schema: Path, tmp_path: Path
) -> None:
    """JSON's own escapes keep every letter, and none of them acts on a terminal."""
    value = json.dumps({"id": 1, NASTY: NASTY}, ensure_ascii=True)
    key = base64.b64encode(NASTY.encode()).decode()
    lines = [
        envelope(value.encode(), key_base64=key),
        envelope(f"[{NASTY}".encode(), headers=[{"name": NASTY, "value_base64": key}]),
    ]
    (tmp_path / "events").write_text("\n".join(lines))
    ended = command("try", "events", "--schema", "schema.yaml")
    assert_harmless(ended.out + ended.err)
    row, letter = (json.loads(line) for line in ended.out.splitlines())
    assert json.loads(row["row"]["_rescued"]) == {NASTY: NASTY}
    assert letter["dead_letter"]["headers"][0]["name"] == NASTY


def test_the_shape_of_both_answers(
    command: Command, golden: Golden, schema: Path, tmp_path: Path
) -> None:
    """Programs read these lines: a name that changes here breaks them."""
    found = tried(command, tmp_path, [envelope(VALUE), envelope(b'{"id": "x"}')])
    changing = {"_ingested_at", "failed_at", "failed_date", "app_version"}
    shown = [
        {kind: {n: "..." if n in changing else v for n, v in record.items()}}
        for each in found
        for kind, record in each.items()
    ]
    golden("try", "".join(json.dumps(each, indent=1) + "\n" for each in shown))
