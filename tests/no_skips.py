"""`--no-skips`: "everything was tested" must be true when the exit status says so."""

from __future__ import annotations

from collections.abc import Generator

import pytest

STACK_TESTS_PASSED = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-skips", action="store_true", help="a skipped test fails; stack tests must have run"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[STACK_TESTS_PASSED] = 0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and item.config.getoption("no_skips"):
        report.outcome = "failed"
        report.longrepr = f"skipped, but --no-skips was asked for: {report.longrepr}"
    if report.when == "call" and report.passed and item.get_closest_marker("stack"):
        item.config.stash[STACK_TESTS_PASSED] += 1
    return report


def _wants_stack(config: pytest.Config) -> bool:
    """Whether tests on the real stack must have run: always, but where none was asked for."""
    return bool(config.getoption("no_skips")) and config.getoption("markexpr") != "not stack"


def pytest_sessionfinish(session: pytest.Session) -> None:
    passed = session.config.stash[STACK_TESTS_PASSED]
    if _wants_stack(session.config) and not passed and session.exitstatus in (0, 5):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    config = terminalreporter.config
    if _wants_stack(config):
        passed = config.stash[STACK_TESTS_PASSED]
        terminalreporter.write_line(f"--no-skips: {passed} tests on the real stack passed")
