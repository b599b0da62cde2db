"""`dlq export`: the exact bytes of dead letters, for `try` and for `test`."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream_processor.errors import ConfigurationError
from stream_processor.operations.dlq import export, export_fixture
from stream_processor.operations.fixture_values import json_bytes
from stream_processor.runtime.config_yaml import read_text
from tests.letters import Letters, broken, good
from tests.unit.cli.conftest import Command, Ended, Golden
from tests.unit.cli.hostile import NASTY, assert_harmless

EVENTS = (
    good(0),
    b"{",
    broken(2),
    None,
    b"\xff{",
    b"",
    b'{"order_id":"O-6","amount":"12,50","note":"it\'s"}',
    json.dumps({"order_id": NASTY}, ensure_ascii=False).encode(),
    b'{"order_id":"O-8",\r\n\t"amount":1.50}',
    b'{"a":' * 40 + b"1" + b"}" * 40,
    b'{"order_id":"O-10","order_id":"twice"}',
    "{“no json”: 12,50}".encode(),
)


@pytest.fixture
def world(tmp_path: Path) -> Letters:
    made = Letters(tmp_path)
    made.stream(*EVENTS)
    return made


def exported(command: Command, *flags: str) -> Ended:
    return command("dlq", "export", "--pipeline", "pipeline.yaml", *flags)


def test_lines_are_envelopes_with_the_exact_bytes(command: Command, world: Letters) -> None:
    """What is fed to `try` must be what Kafka delivered, or its verdict means nothing."""
    ended = exported(command, "--output", "letters.ndjson")
    assert (ended.code, ended.out) == (0, "")
    lines = [json.loads(line) for line in Path("letters.ndjson").read_text().splitlines()]
    assert [each["offset"] for each in lines] == list(range(1, len(EVENTS)))
    for line in lines:
        value, text = EVENTS[line["offset"]], line["value_base64"]
        assert value == (None if text is None else base64.b64decode(text))
        assert base64.b64decode(line["key_base64"]) == b"k%d" % line["offset"]
    tried = command("try", "letters.ndjson", "--pipeline", "pipeline.yaml")
    verdicts = [json.loads(line)["dead_letter"] for line in tried.out.splitlines()]
    assert [each["code"] for each in verdicts] == [each["code"] for each in lines]


def test_what_strangers_wrote_is_harmless_and_exact(command: Command, world: Letters) -> None:
    """Both formats go to a terminal where no file is named."""
    for format_ in ("ndjson", "fixture"):
        ended = exported(command, "--format", format_)
        assert ended.code == 0
        assert_harmless(ended.out)


def test_a_fixture_is_a_test_that_passes_today(command: Command, world: Letters) -> None:
    """Whoever makes a test of a dead letter begins with what is the case, whatever the bytes."""
    ended = exported(command, "--format", "fixture", "-o", "new.test.yaml")
    assert ended.code == 0
    assert ended.err.endswith("next: stream-processor test new.test.yaml\n")
    assert command("test", "new.test.yaml").out.endswith("11 passed, 0 failed\n")


def test_a_fixture_shows_what_a_mended_schema_changes(
    command: Command, golden: Golden, world: Letters
) -> None:
    """The file is read and edited by people: names and values where that is the same event."""
    exported(command, "--format", "fixture", "-o", "new.test.yaml", "--field", "amount")
    world.write_schema(amount="string")
    failed = command("test", "new.test.yaml")
    assert failed.code == 1
    assert "got a row: order_id=" in failed.out
    exported(command, "--format", "fixture", "-o", "new.test.yaml", "--force", "--field", "amount")
    assert command("test", "new.test.yaml").code == 0
    text = Path("new.test.yaml").read_text()
    golden("dlq-export-fixture", re.sub(r"(?m)^clock: .*$", "clock: ...", text))


def test_a_file_is_never_replaced_unasked(command: Command, world: Letters) -> None:
    """It may be a fixture that somebody has worked on."""
    Path("kept").write_text("mine")
    ended = exported(command, "-o", "kept")
    assert ended.code == 2
    assert "exists already" in ended.err
    assert Path("kept").read_text() == "mine"
    assert exported(command, "-o", "kept", "--force", "--limit", "2").code == 0
    assert len(Path("kept").read_text().splitlines()) == 2
    assert sorted(path.name for path in Path().glob(".kept*")) == []


def test_a_file_that_came_meanwhile_is_not_replaced_either(tmp_path: Path) -> None:
    """Between the first look and the last step somebody else may have made it."""
    path = tmp_path / "kept"
    path.write_text("mine")
    with pytest.raises(ConfigurationError, match="exists"):
        export.save(path, ["line"])
    assert [each.name for each in tmp_path.iterdir()] == ["kept"]
    assert path.read_text() == "mine"


def test_a_failure_leaves_the_old_file(command: Command, world: Letters) -> None:
    """`--force` gives leave to replace a file, not to lose it."""
    Path("kept").write_text("mine")
    ended = exported(command, "-o", "kept", "--force", "--code", "field.nothing")
    assert ended.code == 1
    assert Path("kept").read_text() == "mine"
    missing = exported(command, "-o", "no/where")
    assert missing.code == 2
    assert "cannot be written" in missing.err


def test_nothing_chosen_says_what_is_near(command: Command, world: Letters) -> None:
    """An empty file would look like a clean table."""
    ended = exported(command, "--code", "field.tpe", "-o", "new")
    assert ended.code == 1
    assert "nearest: field.type" in ended.err
    assert not Path("new").exists()


def test_a_cut_value_is_no_test(command: Command, tmp_path: Path) -> None:
    """Its first 64 KiB are another event, with another verdict."""
    made = Letters(tmp_path, "max_record_bytes: 100KiB\n")
    made.stream(b"{" + b" " * 200_000, b"{")
    ended = exported(command, "-o", "letters.ndjson")
    assert "the values of 1 were cut" in ended.err
    (cut, whole) = (json.loads(line) for line in Path("letters.ndjson").read_text().splitlines())
    assert (cut["value_truncated"], whole["value_truncated"]) == (True, False)
    only = exported(command, "--format", "fixture", "--code", "record.too_large")
    assert only.code == 1
    assert "were cut" in only.err
    both = exported(command, "--format", "fixture", "-o", "new.test.yaml")
    assert both.code == 0
    assert command("test", "new.test.yaml").out.endswith("1 passed, 0 failed\n")


def test_a_fixture_that_test_could_not_read_is_not_written(
    command: Command, tmp_path: Path
) -> None:
    """A file above the bounds of the reader would be refused with a riddle."""
    Letters(tmp_path).stream(*[b"{" + b"x" * 300_000] * 5)
    ended = exported(command, "--format", "fixture", "-o", "new.test.yaml")
    assert ended.code == 2
    assert "--limit" in ended.err
    assert exported(command, "--format", "fixture", "-o", "new.test.yaml", "--limit", "2").code == 0


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.binary(max_size=40)
    | st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.dictionaries(st.text(max_size=8), _JSON, max_size=5).map(
        lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(
            "utf-8", "surrogatepass"
        )
    )
)
def test_any_value_comes_back_byte_for_byte(value: bytes) -> None:
    """Each of the three forms that a value may be written in must be the same event."""
    line = export_fixture._value(value)
    assert_harmless(line)
    document = read_text("", f"tests:\n  - input:\n      - {line}\n")
    assert document.problems == []
    event: dict[str, Any] = document.value["tests"][0]["input"][0]
    if "value_base64" in event:
        assert base64.b64decode(event["value_base64"]) == value
    else:
        assert json_bytes(event["value"]) == value
