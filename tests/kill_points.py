"""Kill points that count: what happens at the n-th passing of one named step, and nowhere else.

A test that dies within its own process takes these; one that is killed by a real signal takes
`tests.crash.driver.Killer`.
"""

from __future__ import annotations

from collections.abc import Callable

from stream_processor.ports import KillPoint


class Died(BaseException):
    """What a process that is killed does not survive: nothing catches it."""


def dies_at(step: str, count: int = 1) -> KillPoint:
    """The `count`-th passing of the step is the last thing that happens."""

    def die() -> None:
        raise Died(step)

    return meanwhile_at(step, count, die)


def meanwhile_at(step: str, count: int, happens: Callable[[], object]) -> KillPoint:
    """Something happens at the `count`-th passing of the step."""
    left = count

    def passed(reached: str) -> None:
        nonlocal left
        if reached == step:
            left -= 1
            if left == 0:
                happens()

    return passed
