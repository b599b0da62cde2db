"""What the verbs say, word for word, and to which stream."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stream_processor.cli import status, verify
from stream_processor.operations.verify_report import Finding, VerifyReport
from tests.unit.cli.conftest import Command, Golden
from tests.unit.cli.reports import partition_report, status_report, verify_report

VERBS = ("run", "check", "try", "test", "verify", "status", "maintain", "demo", "config", "version")

BROKEN = """\
version: 1
name: orders
source:
  kafka:
    bootstrap_servers: "${KAFKA_BOOTSTRAP}"
    topics: [shop.orders.v1]
schema:
  file: schema.yaml
sink:
  delta:
    table: ./lake/orders
    partition_on: [order_date]
    commit: {every: 10}
"""
SCHEMA = """\
version: 1
name: orders
fields:
  - {name: id, type: long, required: true}
  - {name: paid, type: boolean}
  - {name: price, type: "decimal(12,2)"}
  - {name: at, type: timestamp}
  - {name: blob, type: binary}
"""
PIPELINE = """\
version: 1
name: orders
source: {kafka: {bootstrap_servers: "127.0.0.1:9", topics: [shop.orders.v1]}}
schema: {file: schema.yaml}
sink: {delta: {table: ./lake/orders}}
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "broken.yaml").write_text(BROKEN)
    (tmp_path / "schema.yaml").write_text(SCHEMA)
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    return tmp_path


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb(command: Command, golden: Golden, verb: str) -> None:
    """Whoever looks for a flag at night finds it in one screen of plain words."""
    ended = command(verb, "--help")
    assert (ended.code, ended.err) == (0, "")
    golden(f"help-{verb}", ended.out)


def test_help(command: Command, golden: Golden) -> None:
    """The first screen names every verb and every exit code."""
    ended = command("--help")
    assert (ended.code, ended.err) == (0, "")
    assert all(f"\n  {verb} " in ended.out for verb in VERBS)
    golden("help", ended.out)


def test_check_tells_all_errors_with_their_places(
    command: Command, golden: Golden, files: Path
) -> None:
    """One round of corrections is enough: nothing is told only after the rest is mended."""
    ended = command("check", "broken.yaml")
    assert (ended.code, ended.err) == (2, "")
    golden("check-broken", ended.out)


def test_another_verb_tells_the_same_on_stderr(command: Command, files: Path) -> None:
    """For `run` an error is no data; whatever reads its stdout gets nothing."""
    ended = command("run", "broken.yaml")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == command("check", "broken.yaml").out


def test_check_as_json(command: Command, files: Path) -> None:
    """Editors and pipelines read the same problems, file by file."""
    ended = command("check", "broken.yaml", "pipeline.yaml", "--json")
    broken, right = json.loads(ended.out)["files"]
    assert ended.code == 2
    assert {problem["line"] for problem in broken["problems"]} == {5, 12, 13}
    assert right == {"file": "pipeline.yaml", "problems": [], "probes": [], "sample": None}


def test_check_of_a_file_that_is_right(command: Command, files: Path) -> None:
    """Without --connect nobody is asked: Kafka is away here and it is right all the same."""
    ended = command("check", "pipeline.yaml")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("pipeline.yaml\n  ok    config   schema schema.yaml: 5 fields")


def test_verify_in_words(golden: Golden, capsys: pytest.CaptureFixture[str]) -> None:
    """The proof ends in one sentence that can be read out on the phone."""
    verify.show(verify_report())
    golden("verify-clean", capsys.readouterr().out)


def test_verify_after_a_replay(golden: Golden, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows and dead letters are more than the offsets then: the columns must add up to them."""
    parts = (
        partition_report("orders", 0, rows=49_756, replayed=250),
        partition_report("orders", 1, dead_letters=394, ledger=100),
    )
    verify.show(VerifyReport("orders", 12, 11, parts, ()))
    golden("verify-replayed", capsys.readouterr().out)


def test_verify_with_findings(golden: Golden, capsys: pytest.CaptureFixture[str]) -> None:
    """Where something is lost, the partition and the first offsets are named."""
    findings = (
        Finding("lost", "orders", "id", 1, 3, (7, 8, 9)),
        Finding("no_identity", None, None, None, 2),
    )
    verify.show(verify_report(findings=findings))
    golden("verify-findings", capsys.readouterr().out)


def test_status_in_words(golden: Golden, capsys: pytest.CaptureFixture[str]) -> None:
    """Lag and the last commit come first: that is what the person on call asks."""
    status.show(status_report())
    golden("status", capsys.readouterr().out)


def test_config_show_says_where_a_value_comes_from(command: Command, files: Path) -> None:
    """File, flag, default: whoever wonders why finds the line."""
    ended = command(
        "config", "show", "pipeline.yaml", "--set", "sink.delta.commit.every=5s",
        "--set", "sink.delta.storage.access_key_id=hunter1",
        "--set", "sink.delta.storage.secret_access_key=hunter2", "--json",
    )  # fmt: skip  # pairs of words
    settings = {each["key"]: each for each in json.loads(ended.out)["settings"]}
    assert settings["name"]["origin"] == "pipeline.yaml:2"
    assert settings["sink.delta.commit.every"]["value"] == "5s"
    assert "--set" in settings["sink.delta.commit.every"]["origin"]
    assert "hunter2" not in ended.out + command("config", "show", "pipeline.yaml").out


def test_config_schema_is_the_one_of_the_package(command: Command) -> None:
    """Editors that fetch it from the program get what is committed."""
    from stream_processor.config import json_schema

    assert json.loads(command("config", "schema").out) == json_schema.pipeline_json_schema()
    for which in ("pipeline", "schema", "fixture"):
        made = getattr(json_schema, f"{which}_json_schema")()
        assert json.loads(command("config", "schema", which).out) == made


def test_version_names_what_it_stands_on(command: Command) -> None:
    """A report of a problem begins with this."""
    from stream_processor import __version__

    versions = json.loads(command("version", "--json").out)
    assert versions["stream-processor"] == __version__
    assert {"python", "deltalake", "confluent-kafka"} <= versions.keys()
    assert command("--version").out == f"stream-processor {__version__}\n"
