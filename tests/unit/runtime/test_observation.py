"""Observation: log, metrics and snapshot say the same, and say it once."""

import io
import json
import threading

import pytest

from stream_processor.errors import InternalError
from stream_processor.ports import Advance, Observer, Partition, Standing
from stream_processor.runtime.logging_setup import LogSettings, make_log
from stream_processor.runtime.metrics import Metrics, Subject
from stream_processor.runtime.observation import Observation, Repeats
from stream_processor.runtime.snapshot import Snapshot, readiness, rest_limit_seconds
from stream_processor.runtime.watchdog import Watchdog
from tests.unit.runtime.manual_clock import ManualClock

P0 = Partition("orders", "AAA", 0)
P1 = Partition("orders", "AAA", 1)
LIMIT = 60.0


class World:
    """An observation with everything around it in reach."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.stream = io.StringIO()
        self.metrics = Metrics(Subject("orders", "orders", "orders__dlq", "0.1.0"))
        log = make_log(LogSettings("debug"), self.stream, self.clock)
        self.observer = Observation(self.metrics, log, self.clock, Watchdog(LIMIT))

    def lines(self, event: str) -> list[dict[str, object]]:
        read = map(json.loads, self.stream.getvalue().splitlines())
        return [line for line in read if line["event"] == event]

    def value(self, name: str, **labels: str) -> float | None:
        labels = {"pipeline": "orders"} | labels
        return self.metrics.registry.get_sample_value(f"stream_processor_{name}", labels)

    def snapshot(self) -> Snapshot:
        return self.observer.snapshot()

    def unready(self) -> dict[str, str]:
        checks = readiness(self.snapshot(), LIMIT)
        return {check.name: check.detail for check in checks if not check.ok}

    def running(self) -> None:
        self.observer.state("running")
        self.observer.timed("poll", 0.1)
        self.observer.standing({P0: Standing(5, 5)})


@pytest.fixture
def world() -> World:
    return World()


def test_it_is_an_observer(world: World) -> None:
    """The type checker holds it against the port; the engine may call every method."""
    observer: Observer = world.observer
    observer.buffered(3, 300)
    assert (world.snapshot().buffered_records, world.snapshot().buffered_bytes) == (3, 300)
    assert world.value("buffer_bytes") == 300


def test_a_settled_batch_is_in_all_three(world: World) -> None:
    """When the live line, the log and the metrics disagree, nobody knows what is true."""
    upto = {P0: Advance(0, 9, rows=5, dead=2, skipped={"tombstone": 1}, hole_ranges=((3, 4),))}
    world.observer.settled(upto, {("parse", "json.syntax"): 2})
    shown = world.snapshot()
    assert (shown.rows, shown.dead, shown.holes) == (5, 2, 1)
    assert shown.dead_by_code == {("parse", "json.syntax"): 2}
    assert shown.skipped_by_reason == {"tombstone": 1}
    assert shown.last_commit_at == world.clock.now()
    (line,) = world.lines("committed")
    assert (line["level"], line["rows"], line["dead_letters"]) == ("info", 5, 2)
    (dead,) = world.lines("dead_letters")
    assert (dead["level"], dead["code"], dead["total"]) == ("warning", "json.syntax", 2)
    assert world.value("records_written_total", table="orders") == 5
    assert world.value("last_commit_timestamp_seconds", table="orders") == world.clock.now()


def test_a_batch_of_offsets_alone_is_no_line_for_the_person(world: World) -> None:
    """Idle topics with transaction markers would otherwise fill the log."""
    world.observer.settled({P0: Advance(0, 1, hole_ranges=((0, 1),))}, {})
    assert world.lines("committed")[0]["level"] == "debug"


def test_an_outage_is_told_once_per_change_and_counted_every_time(world: World) -> None:
    """A night without a broker must not fill the disk with one sentence."""
    for attempt in range(100):
        world.observer.event("retrying", kind="BrokerUnavailable", reason="away", attempt=attempt)
        world.observer.state("paused", "away")
        world.clock.seconds += 0.5
    assert len(world.lines("retrying")) == 1
    assert len(world.lines("state")) == 1
    world.clock.seconds += 30
    world.observer.event("retrying", kind="BrokerUnavailable", reason="away", attempt=100)
    assert world.lines("retrying")[1]["repeated"] == 99
    world.observer.event("retrying", kind="StoreUnavailable", reason="full", attempt=101)
    assert len(world.lines("retrying")) == 3
    assert world.value("retries_total", error="BrokerUnavailable") == 101
    assert world.snapshot().retries == 102


def test_every_change_of_the_state_is_told_however_fast(world: World) -> None:
    """A log that ends in "paused" while the stream runs sends the person the wrong way."""
    for state in ("running", "paused", "running", "paused", "running"):
        world.observer.state(state, "away" if state == "paused" else "")
    told = [line["state"] for line in world.lines("state")]
    assert told == ["running", "paused", "running", "paused", "running"]


def test_a_mistake_of_ours_is_an_error_once(world: World) -> None:
    """The same bug meets every batch; one line with its place is what helps."""
    for _ in range(5):
        world.observer.event("internal_error", error=InternalError("a batch does not add up"))
    (line,) = world.lines("internal_error")
    assert line["level"] == "error"
    assert line["error"] == {"type": "InternalError", "message": "a batch does not add up"}


def test_fences_and_rebalances_have_counters(world: World) -> None:
    """A group that rebalances all day long is a finding although nothing is lost."""
    world.observer.event("rebalanced", reason="Kafka moved partitions")
    world.observer.event("retrying", kind="Fenced", reason="newer owner")
    assert world.value("rebalances_total") == 1
    assert world.value("fenced_total") == 1


def test_fields_with_taken_names_do_not_break_the_line(world: World) -> None:
    """Kafka's client passes its own `level`; an observer that raises would stop the engine."""
    world.observer.event("kafka_client", level=6, ts=1, text="connected")
    (line,) = world.lines("kafka_client")
    assert (line["level"], line["level_"], line["ts_"]) == ("info", 6, 1)
    world.observer.event("kafka_client", level=3, text="refused")
    assert world.lines("kafka_client")[1]["level"] == "warning"


def test_the_memory_of_repeats_is_bounded() -> None:
    """Texts that differ each time must not grow a dictionary for a year."""
    repeats = Repeats()
    for number in range(10_000):
        assert repeats.admit((number,), 0.0) == 0
    assert len(repeats._last) <= 256


def test_the_rate_is_that_of_the_last_minute(world: World) -> None:
    """An average since Monday hides that nothing has moved for an hour."""
    for _ in range(300):
        world.clock.seconds += 1
        world.observer.settled({P0: Advance(0, 100, rows=100)}, {})
    assert world.snapshot().records_per_second == pytest.approx(100, rel=0.05)
    world.clock.seconds += 3600
    assert world.snapshot().records_per_second < 1


def test_lag_in_seconds_is_the_age_of_the_oldest_waiting_record(world: World) -> None:
    """An idle topic that gets an event is one second late, not a night."""
    wall = world.clock.now()
    world.running()
    assert world.snapshot().lag_seconds == 0
    world.clock.seconds += 10
    old = int((wall - 3600) * 1000)
    world.observer.standing({P0: Standing(5, 8, committed_ms=old)})
    assert world.snapshot().lag_seconds == pytest.approx(10)
    waiting = int((world.clock.now() - 2.5) * 1000)
    world.observer.standing({P0: Standing(5, 8, committed_ms=old, waiting_ms=waiting)})
    assert world.snapshot().lag_seconds == pytest.approx(2.5)
    assert world.snapshot().lag == 3
    labels = {"topic": "orders", "partition": "0"}
    assert world.value("consumer_lag_seconds", **labels) == pytest.approx(2.5)


def test_lag_in_seconds_of_a_backlog_is_its_real_age(world: World) -> None:
    """Catching up after a day: the table is a day behind, whatever the process has seen."""
    old = int((world.clock.now() - 86_400) * 1000)
    world.observer.standing({P0: Standing(5, 9_000)})
    assert world.snapshot().lag_seconds is None
    world.observer.standing({P0: Standing(6, 9_000, committed_ms=old)})
    assert world.snapshot().lag_seconds == pytest.approx(86_400)


def test_a_stall_is_told_when_it_begins_and_when_it_ends(world: World) -> None:
    """The end of an alarm is news, too."""
    world.running()
    for _ in range(20):
        world.observer.standing({P0: Standing(5, 9)})
        world.clock.seconds += 10
    (stalled,) = world.lines("stalled")
    assert stalled["partition"] == "orders[0]"
    assert "progress" in world.unready()
    world.observer.standing({P0: Standing(9, 9)})
    assert len(world.lines("moving_again")) == 1
    assert "progress" not in world.unready()


def test_a_stall_shows_although_the_engine_hangs(world: World) -> None:
    """A thread that is stuck tells nothing; time alone must make it visible."""
    world.running()
    world.observer.standing({P0: Standing(5, 9)})
    world.clock.seconds += 61
    assert set(world.unready()) == {"poll", "progress"}


@pytest.mark.parametrize(
    ("state", "reason", "bad"),
    [
        ("starting", "", {"state"}),
        ("running", "", set()),
        ("running", "orders[3] cannot be unpacked", {"state"}),
        ("paused", "the broker is away", {"state"}),
        ("draining", "SIGTERM received", {"state"}),
        ("failed", "", {"state"}),
    ],
)
def test_ready_means_running_and_whole(
    world: World, state: str, reason: str, bad: set[str]
) -> None:
    """Traffic lights have two colours; the reason is what the person needs."""
    world.running()
    world.observer.state(state, reason)
    assert set(world.unready()) == bad
    if reason:
        assert reason in world.unready()["state"]


def test_ready_needs_a_claim_and_a_poll_but_not_a_partition(world: World) -> None:
    """A spare process in the group is healthy although it has nothing to do."""
    world.observer.state("running")
    assert set(world.unready()) == {"assignment", "poll"}
    world.observer.timed("poll", 0.1)
    world.observer.standing({})
    assert world.unready() == {}


def test_a_failed_commit_is_unready_until_one_is_taken_again(world: World) -> None:
    """Not-ready must end by itself, also on a topic where nothing comes after the outage."""
    world.running()
    world.observer.event("commit_failed", stage="data", kind="StoreUnavailable")
    assert world.unready() == {"commit": "the last commit failed: StoreUnavailable"}
    assert world.value("commits_total", table="orders", outcome="failed") == 1
    world.observer.state("running")
    assert world.unready() == {}


def test_an_open_transaction_is_shown_but_ready(world: World) -> None:
    """Nothing here can end another program's transaction."""
    world.running()
    for _ in range(10):
        world.observer.timed("poll", 0.1)
        world.observer.standing({P0: Standing(5, 5, log_end=9)})
        world.clock.seconds += 10
    assert world.unready() == {}
    (check,) = [c for c in readiness(world.snapshot(), LIMIT) if c.name == "progress"]
    assert "open transaction" in check.detail


def test_the_rest_limit_follows_the_commit_interval() -> None:
    """`commit.every: 10m` is a choice, not a stall."""
    assert rest_limit_seconds(10) == 60
    assert rest_limit_seconds(600) == 1800


def test_a_reason_is_printable_everywhere(world: World) -> None:
    """A reason may quote a topic name; the live line prints it."""
    world.observer.state("paused", "topic \x1b]52;c;x\x07 is missing")
    assert world.snapshot().reason == r"topic \x1b]52;c;x\x07 is missing"


def test_many_threads_may_tell_at_once(world: World) -> None:
    """The engine, its writer and Kafka's callbacks all do."""

    def tell() -> None:
        for _ in range(200):
            world.observer.settled({P0: Advance(0, 1, rows=1)}, {("parse", "json.syntax"): 1})
            world.observer.timed("poll", 0.01)
            world.observer.standing({P0: Standing(1, 1), P1: Standing(0, 4)})
            world.snapshot()

    threads = [threading.Thread(target=tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (world.snapshot().rows, world.snapshot().dead) == (800, 800)
    assert world.value("records_written_total", table="orders") == 800
    assert len(world.lines("committed")) == 800


def test_a_flood_is_seen_in_the_log_the_gauge_and_the_snapshot_until_it_ends(world: World) -> None:
    """The alert hangs on the gauge, the person on the line; both must go when the flood does."""
    world.running()
    assert world.value("breaker_open", topic="orders") == 0
    world.observer.event("breaker_opened", topic="orders", reason="6 of the last 10 events")
    assert world.value("breaker_open", topic="orders") == 1
    assert world.snapshot().flooded == {"orders"}
    assert [line["level"] for line in world.lines("breaker_opened")] == ["warning"]
    assert world.unready() == {}, "a surge goes on"
    world.observer.standing({P0: Standing(9, 9)})
    assert world.value("breaker_open", topic="orders") == 1
    world.observer.event("breaker_closed", topic="orders", reason="1 of the last 10 events")
    assert world.value("breaker_open", topic="orders") == 0
    assert world.snapshot().flooded == frozenset()


def test_a_flood_is_shown_while_nothing_is_ours(world: World) -> None:
    """A run that starts into a pause owns its partitions only until it has found it."""
    world.observer.event("breaker_opened", topic="orders", reason="too many dead letters")
    assert world.value("breaker_open", topic="orders") == 1
