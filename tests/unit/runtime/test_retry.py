"""Backoff: never a busy loop, never for longer than said, never deaf to a stop."""

import random
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_processor.errors import BrokerUnavailable, ConfigurationError, Unavailable
from stream_processor.runtime.retry import Backoff, Retry, until_available
from tests.unit.runtime.manual_clock import ManualClock


class Flaky:
    """Raises `error` the first `failures` times, then answers."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.calls = 0
        self._failures = failures
        self._error = error

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self._failures:
            raise self._error
        return "answer"


def make_retry(clock: ManualClock, backoff: Backoff) -> Retry:
    return Retry(backoff, clock, random.Random(7), clock)


@given(st.integers(1, 10**9), st.integers(0, 2**32))
def test_a_delay_stays_between_floor_and_ceiling(failures: int, seed: int) -> None:
    """A broker that is away for a week must neither be hammered nor forgotten, nor overflow us."""
    backoff = Backoff(first_seconds=0.5, ceiling_seconds=30, floor_seconds=0.1)
    delay = backoff.delay_seconds(failures, random.Random(seed))
    assert 0.1 <= delay <= 30
    assert delay <= max(0.1, 0.5 * 2 ** min(failures - 1, 32))


def test_the_same_seed_gives_the_same_delays_and_another_seed_others() -> None:
    """A chaos run that prints its seed can be repeated; two processes do not march in step."""
    backoff = Backoff()
    one, again, other = (
        [backoff.delay_seconds(n, dice) for n in range(1, 9)]
        for dice in (random.Random(1), random.Random(1), random.Random(2))
    )
    assert one == again
    assert one != other


def test_success_makes_the_next_wait_short_again() -> None:
    """After an outage of an hour, one lost packet must not cost another half minute."""
    clock = ManualClock()
    retry = make_retry(clock, Backoff(first_seconds=1, ceiling_seconds=1000))
    for _ in range(12):
        assert retry.pause()
    retry.succeeded()
    assert retry.pause()
    assert retry.failures == 1
    assert clock.waited[-1] <= 1


def test_attempts_and_total_time_are_bounded() -> None:
    """A start without `--wait` must end with exit 3, not hang."""
    clock = ManualClock()
    by_count = make_retry(clock, Backoff(attempts_max=3))
    assert [by_count.pause() for _ in range(3)] == [True, True, False]
    by_time = make_retry(clock, Backoff(total_seconds_max=10, floor_seconds=4, ceiling_seconds=4))
    assert [by_time.pause() for _ in range(4)] == [True, True, True, False]


def test_a_stop_that_is_already_set_means_no_wait_at_all() -> None:
    """Draining must not begin with a pause."""
    clock = ManualClock()
    clock.stop_after = 0
    assert not make_retry(clock, Backoff()).pause()
    assert clock.waited == []


def test_a_stop_during_the_wait_ends_it_at_once() -> None:
    """SIGTERM while the broker is away: the process ends now, not after the backoff."""
    stop = threading.Event()
    backoff = Backoff(floor_seconds=60, ceiling_seconds=60)
    retry = Retry(backoff, ManualClock(), random.Random(1), stop)
    threading.Timer(0.05, stop.set).start()
    began = time.monotonic()
    assert not retry.pause()
    assert time.monotonic() - began < 30


def test_only_what_is_unavailable_is_tried_again() -> None:
    """A wrong file does not become right by waiting."""
    clock = ManualClock()
    told: list[tuple[str, int]] = []

    def report(error: Unavailable, failures: int) -> None:
        told.append((error.message, failures))

    flaky = Flaky(2, BrokerUnavailable("no broker"))
    assert until_available(flaky, make_retry(clock, Backoff()), report) == "answer"
    assert told == [("no broker", 1), ("no broker", 2)]

    wrong = Flaky(1, ConfigurationError("wrong"))
    with pytest.raises(ConfigurationError):
        until_available(wrong, make_retry(clock, Backoff()), report)
    assert wrong.calls == 1


def test_the_last_error_comes_out_when_no_attempt_is_left() -> None:
    """The person must read what was wrong, not that a retry ended."""
    clock = ManualClock()
    flaky = Flaky(99, BrokerUnavailable("no broker"))
    with pytest.raises(BrokerUnavailable, match="no broker"):
        until_available(flaky, make_retry(clock, Backoff(attempts_max=4)), lambda *_: None)
    assert flaky.calls == 4
