"""What goes to a terminal: aligned, whole, and harmless whatever strangers wrote."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from stream_processor.cli import check_screens, status, verify
from stream_processor.cli.live import Above, dead_letters_of, line_of
from stream_processor.cli.output import columns, json_text
from stream_processor.errors import BrokerUnavailable
from stream_processor.operations.check import Cause, Probe, SampleReport
from stream_processor.operations.verify_report import Finding
from stream_processor.ports import Partition, Standing
from stream_processor.runtime.snapshot import Snapshot
from tests.unit.cli.hostile import NASTY, assert_harmless, assert_no_markup
from tests.unit.cli.reports import status_report, verify_report


def test_columns_are_aligned_by_what_is_seen() -> None:
    """Wide letters take two cells of a terminal; numbers end flush."""
    lines = columns([("topic", "lag"), ("注文", 1234), ("orders", 7)], right=[1])
    assert lines == ["topic      lag", "注文     1,234", "orders       7"]


def test_json_is_exact_and_acts_on_no_terminal() -> None:
    """Every letter comes back, also DEL, which ASCII JSON would let through."""
    text = json_text({NASTY: [NASTY]})
    assert_harmless(text)
    assert json.loads(text) == {NASTY: [NASTY]}


def test_strangers_in_verify(capsys: pytest.CaptureFixture[str]) -> None:
    """A topic's name comes from the table's log, which anybody may have written."""
    report = verify_report(NASTY, (Finding("lost", NASTY, NASTY, 1, 3, (1,)),))
    verify.show(report)
    out = capsys.readouterr().out
    assert_harmless(out)
    assert_no_markup(out)
    assert "evil" in out


def test_strangers_in_status(capsys: pytest.CaptureFixture[str]) -> None:
    """Engines name themselves, codes are columns, addresses are files' words."""
    status.show(status_report(NASTY, NASTY))
    out = capsys.readouterr().out
    assert_harmless(out)
    assert_no_markup(out)
    assert out.count("evil") >= 5


def test_strangers_in_check(capsys: pytest.CaptureFixture[str]) -> None:
    """A sample quotes events; a probe quotes brokers and paths."""
    screen = check_screens.Screen()
    screen.begin(NASTY)
    screen.probe(Probe("kafka", ok=False, text=NASTY, seconds=0.01, hint=NASTY))
    screen.failed("sample", BrokerUnavailable(NASTY, hint=NASTY))
    cause = Cause(2, "validate", "field.type", NASTY, NASTY, NASTY, NASTY)
    screen.sample(SampleReport(3, 1, 2, 0, (cause,)))
    out = capsys.readouterr().out
    assert_harmless(out)
    assert_no_markup(out)
    assert out.count("evil") >= 5


def test_the_live_line_says_what_matters() -> None:
    """State, rate, lag, age of the last commit, rows, dead letters by code, and why it waits."""
    part = Partition("orders", "id", 0)
    now = Snapshot(
        state="paused",
        reason="the store is away",
        rows=12_345,
        dead_by_code={("validate", "field.type"): 10, ("parse", "json.syntax"): 2},
        records_per_second=1234.4,
        standing={part: Standing(next_offset=10, high=1242)},
        lag_seconds=0.94,
        last_commit_at=100.0,
    )
    assert line_of(now, 103.2) == (
        "paused   1,234 records/s · lag 1,232 (0.9 s) · last commit 3 s ago · rows 12,345 · "
        "dead letters 12: field.type 10, json.syntax 2 · the store is away"
    )


def test_the_live_line_at_the_start() -> None:
    """What is not known yet is not shown as zero."""
    assert line_of(Snapshot(), 0.0) == "starting   0 records/s · rows 0 · dead letters 0"


def test_many_codes_do_not_fill_the_line() -> None:
    """The four most frequent are enough; `status` has them all."""
    counts = {("validate", f"field.{n}"): n for n in range(1, 9)}
    text = dead_letters_of(Snapshot(dead_by_code=counts))
    assert text == "dead letters 36: field.8 8, field.7 7, field.6 6, field.5 5, ..."


def test_a_reason_cannot_act_on_the_terminal() -> None:
    """The reason of a pause may quote what a broker said."""
    line = line_of(Snapshot(state="paused", reason=NASTY), 0.0)
    assert_harmless(line)
    assert_no_markup(line)


def test_log_lines_above_the_live_line_take_no_markup() -> None:
    """A value that looks like a tag is text; a long line is not cut."""
    text = io.StringIO()
    above = Above(Console(file=text, width=40, markup=False, highlight=False, emoji=False))
    assert above.isatty()
    above.write("[bold]x[/bold] :smile: " + "y" * 100 + "\n")
    assert text.getvalue().replace("\n", "") == "[bold]x[/bold] :smile: " + "y" * 100
