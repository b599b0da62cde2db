"""Every way to end: the exit code, one sentence of what happened, one of what to do."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from stream_processor import errors
from stream_processor.cli import app as cli
from stream_processor.cli.endings import EXIT_CODES, told
from stream_processor.cli.options import Session
from tests.unit.cli.conftest import Command
from tests.unit.cli.hostile import NASTY, assert_harmless

CODES = {
    errors.ConfigurationError: 2,
    errors.StoreRefused: 2,
    errors.TableRefused: 2,
    errors.Unavailable: 3,
    errors.BrokerUnavailable: 3,
    errors.StoreUnavailable: 3,
    errors.CredentialsRejected: 3,
    errors.TopicMissing: 3,
    errors.DecisionNeeded: 1,
    errors.OffsetGap: 1,
    errors.TableRewound: 1,
    errors.TableReplaced: 1,
    errors.TopicRecreated: 1,
    errors.CommitOverwritten: 1,
    errors.PartitionUnreadable: 1,
    errors.CommitHung: 1,
    errors.BreakerOpen: 4,
    errors.OwnershipChanged: 1,
    errors.Rebalanced: 1,
    errors.Fenced: 1,
    errors.InternalError: 1,
    errors.ConservationViolated: 1,
    errors.StreamProcessorError: 1,
}


def test_every_error_of_the_tree_is_listed() -> None:
    """A new error needs a decision about its exit code."""
    tree = {
        each
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, errors.StreamProcessorError)
    }
    assert tree == CODES.keys()


@pytest.mark.parametrize("kind", CODES, ids=lambda kind: kind.__name__)
def test_an_error_says_what_happened_and_what_to_do(
    kind: type[errors.StreamProcessorError], capsys: pytest.CaptureFixture[str]
) -> None:
    """Scripts branch on the code, people on the two lines; no stack trace is among them."""
    code = told(kind("the world is upside down", hint="turn it"), Session())
    out, err = capsys.readouterr()
    assert code == CODES[kind]
    assert code in EXIT_CODES
    assert (out, err) == ("", "error: the world is upside down\n  to do: turn it\n")


def int_of_a_payload(text: str) -> int:
    return int(text)


def test_an_unforeseen_error_tells_its_place_but_not_its_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The text of a foreign exception may quote an event."""
    with pytest.raises(ValueError, match="card") as caught:
        int_of_a_payload("payload with a card number")
    quiet = told(caught.value, Session())
    first = capsys.readouterr().err
    verbose = told(caught.value, Session(verbose=True))
    second = capsys.readouterr().err
    assert quiet == verbose == 1
    assert re.search(r"a mistake of ours: ValueError at \S+test_endings.py:\d+", first)
    assert "please report" in first
    assert "int_of_a_payload" not in first
    assert "int_of_a_payload" in second
    assert "card number" not in first + second


def test_an_error_that_quotes_a_stranger_is_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    """Adapters bound what they quote; here the last controls are taken out."""
    told(errors.Unavailable(f"broker {NASTY} is away", hint=NASTY), Session())
    assert_harmless(capsys.readouterr().err)


def test_ctrl_c_anywhere(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """130, as shells expect, and no trace."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("stream_processor.cli.version.say_columns", interrupted)
    ended = command("version")
    assert ended.code == 130
    assert "Traceback" not in ended.err


def test_an_unforeseen_error_inside_a_verb(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """-v alone opens the trace."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("stream_processor.operations.config_show.show_config", broken)
    quiet = command("config", "show")
    loud = command("config", "show", "-v")
    assert quiet.code == loud.code == 1
    assert "RuntimeError" in quiet.err
    assert "broken" in loud.err
    assert "secret" not in quiet.err + loud.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("verfy",), "Did you mean 'verify'?"),
        (("dlq",), "error: a verb is missing\n  to do: say one of list, show, stats"),
        (("run", "--untl", "latest"), "Did you mean '--until'?"),
        (("run", "--until", "yesterday"), "'yesterday' is not one of 'latest'"),
        (("run", "--for", "10"), "expected a number with a unit"),
        (("run", "--for", "0s"), "more than nothing"),
        (("run", "--max-records", "0"), "greater than or equal to 1"),
        (("run", "--set", "nothing"), "PATH=VALUE"),
        (("check", "--sample", "x"), "--sample"),
        (("config",), "Missing command"),
        (("run", "a", "b"), "unexpected extra argument"),
        ((NASTY,), "No such command"),
        ((f"--{NASTY}",), "No such option"),
    ],
)
def test_wrong_usage(command: Command, arguments: tuple[str, ...], words: str) -> None:
    """Exit 2, what is wrong, and where the help is."""
    ended = command(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert words in ended.err
    assert "--help" in ended.err
    assert_harmless(ended.err)


def test_without_arguments_the_default_pipeline_runs(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`python -m stream_processor.main` is `run`: here production refuses the local mode."""
    monkeypatch.setenv("STREAM_PROCESSOR_PROFILE", "production")
    ended = command()
    assert (ended.code, ended.out) == (2, "")
    assert "KAFKA_BOOTSTRAP_SERVERS is not set" in ended.err


def test_half_a_kafka_is_never_taken_for_the_local_mode(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invented orders instead of the ones that were meant would be the worst surprise."""
    monkeypatch.setenv("KAFKA_TOPICS", "orders")
    ended = command("run")
    assert ended.code == 2
    assert "KAFKA_BOOTSTRAP_SERVERS is not set" in ended.err
    assert "LOCAL" not in ended.err


def test_help_is_quick_because_it_loads_nothing() -> None:
    """Kafka, Delta and Arrow take half a second to load: only verbs that need them do."""
    code = (
        "import sys; from stream_processor.cli.app import run_command;"
        "assert run_command(['run', '--help']) == 0; assert run_command(['version']) == 0;"
        "print(sorted({'pyarrow', 'deltalake', 'confluent_kafka', 'obstore',"
        " 'structlog', 'numpy', 'stream_processor.config'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_end_leaves_nothing_unsaid() -> None:
    """The process ends without Python's own farewell; what was said and registered still counts."""
    program = (
        "import atexit; from stream_processor.cli.endings import end_process\n"
        "atexit.register(print, 'registered'); print('said'); end_process(3)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "said\nregistered\n", "")


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    """`| head -1` closes the pipe: neither a trace nor Python's own words at its end."""
    script = f"{sys.executable} -m stream_processor.main config schema | head -1"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert (done.stdout, done.stderr) == ("{\n", "")


def test_a_full_disk_behind_stdout_is_told() -> None:
    """What could not be written must not look like success."""
    script = f"{sys.executable} -m stream_processor.main config schema > /dev/full"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "error: stdout cannot be written: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_terminal_that_does_not_know_a_letter(tmp_path: Path) -> None:
    """A letter that cannot be written costs itself, not the command."""
    (tmp_path / "ö.yaml").write_text("version: 1\nn\u4e00me: x\n")
    done = subprocess.run(
        [sys.executable, "-m", "stream_processor.main", "check", "ö.yaml"],
        capture_output=True, check=False, cwd=tmp_path, env={"PYTHONIOENCODING": "latin-1"},
    )  # fmt: skip  # pairs of words
    assert done.returncode == 2
    assert b"n\\u4e00me" in done.stdout
    assert b"Traceback" not in done.stderr


def test_every_verb_is_a_function_of_its_own_module() -> None:
    """One small module per verb: whoever looks for one finds it by its name."""
    group = typer.main.get_command(cli.app)
    assert sorted(group.commands) == sorted(  # type: ignore[attr-defined]  # it is a group
        [
            "infer",
            "run",
            "check",
            "try",
            "test",
            "verify",
            "status",
            "demo",
            "dlq",
            "schema",
            "table",
            "maintain",
            "config",
            "version",
        ]
    )
