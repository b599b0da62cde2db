"""The watchdog: a stall that nobody reports is found, and nothing else is called one."""

from stream_processor.ports import Partition, Standing
from stream_processor.runtime.watchdog import Watchdog

P0 = Partition("orders", "AAA", 0)
P1 = Partition("orders", "AAA", 1)


def fed(*steps: tuple[float, Standing]) -> Watchdog:
    dog = Watchdog(60)
    for now, where in steps:
        dog = dog.seen({P0: where}, now)
    return dog


def test_lag_without_progress_is_a_stall_after_the_limit() -> None:
    """A consumer that went silent has no error, only a lag that stays."""
    dog = fed((0, Standing(5, 9)), (30, Standing(5, 12)))
    assert dog.stalls(59.9) == ()
    (stall,) = dog.stalls(60)
    assert (stall.partition, stall.kind, stall.lag, stall.seconds) == (P0, "no_progress", 7, 60)
    assert str(stall) == "orders[0]: no progress with 7 offsets to go for 60 s"


def test_progress_however_slow_is_no_stall() -> None:
    """A large backlog that shrinks is work, not an alarm."""
    dog = fed(*((50.0 * n, Standing(n, 10_000)) for n in range(10)))
    assert dog.stalls(500) == ()


def test_an_idle_topic_is_no_stall_and_its_first_new_event_starts_the_count() -> None:
    """A topic that sleeps for a night must not alarm at its first event in the morning."""
    dog = fed((0, Standing(9, 9)), (36_000, Standing(9, 9)))
    assert dog.stalls(36_000) == ()
    dog = dog.seen({P0: Standing(9, 10)}, 36_001)
    assert dog.stalls(36_002) == ()
    assert len(dog.stalls(36_061)) == 1


def test_an_open_transaction_is_told_apart() -> None:
    """ "Stuck" would send the person on call to the wrong system: the producer must end it."""
    dog = fed((0, Standing(9, 9, log_end=50)), (61, Standing(9, 9, log_end=60)))
    (stall,) = dog.stalls(61)
    assert (stall.kind, stall.lag) == ("open_transaction", 51)
    assert "open transaction" in str(stall)


def test_the_count_starts_anew_when_the_transaction_ends() -> None:
    """The wait for the producer is not our own idleness."""
    dog = fed((0, Standing(9, 9, log_end=50)), (100, Standing(9, 50, log_end=50)))
    assert dog.stalls(101) == ()
    assert dog.stalls(160)[0].kind == "no_progress"


def test_a_partition_that_left_is_forgotten() -> None:
    """After a rebalance its lag is another process's business."""
    dog = Watchdog(60).seen({P0: Standing(0, 5), P1: Standing(0, 5)}, 0)
    dog = dog.seen({P1: Standing(0, 5)}, 30)
    assert [stall.partition for stall in dog.stalls(100)] == [P1]


def test_a_known_pause_is_no_stall() -> None:
    """While the store is away the state says so; a second alarm would only hide it."""
    dog = fed((0, Standing(0, 5))).rested()
    assert dog.stalls(1000) == ()
    assert dog.seen({P0: Standing(0, 5)}, 1000).stalls(1030) == ()
