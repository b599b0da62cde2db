"""Ends what a failed test left running."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crash.world import STARTED


@pytest.fixture(autouse=True)
def ended_processes() -> Iterator[None]:
    yield
    while STARTED:
        process = STARTED.pop()
        if process.poll() is None:
            process.kill()
        process.wait()
