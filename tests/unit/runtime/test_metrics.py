"""Metrics: an alert that is written today must mean the same tomorrow."""

from pathlib import Path

from prometheus_client import generate_latest

from stream_processor.ports import Advance, Partition, Standing
from stream_processor.runtime.metrics import Metrics, Subject

DOCS = Path(__file__).parents[3] / "docs" / "reference" / "metrics.md"
SUBJECT = Subject("orders", "orders", "orders__dlq", "0.1.0")
P0 = Partition("shop.orders", "AAA", 0)
P1 = Partition("shop.orders", "AAA", 1)


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"stream_processor_{name}", labels)


def documented() -> list[str]:
    text = DOCS.read_text(encoding="utf-8").split("<!-- metrics:")[1]
    return [line for line in text.splitlines() if line.startswith("| `stream_processor_")]


def registered() -> list[str]:
    rows = []
    for collector, names in Metrics(SUBJECT).registry._collector_to_names.items():
        if not any(name.startswith("stream_processor_") for name in names):
            continue  # the process collector of the library
        family = next(iter(collector.collect()))
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = ", ".join(collector._labelnames)  # type: ignore[attr-defined]  # not published
        rows.append(f"| `{name}` | {family.type} | {labels} | {family.documentation} |")
    return rows


def test_the_reference_page_is_the_registry() -> None:
    """People write alerts from the page; a metric that is missing there does not exist for them."""
    assert documented() == registered()


def test_a_settled_batch_is_counted_by_table_code_reason_and_topic() -> None:
    """The four sums are what "is anything lost" is answered with."""
    metrics = Metrics(SUBJECT)
    skipped = {"tombstone": 1}
    upto = {
        P0: Advance(0, 10, rows=5, dead=2, held_back=1, skipped=skipped, hole_ranges=((8, 9),)),
        P1: Advance(0, 4, rows=4),
    }
    metrics.settled(upto, {("parse", "json.syntax"): 2}, 0.0)
    assert value(metrics, "records_written_total", pipeline="orders", table="orders") == 9
    assert value(metrics, "records_consumed_total", pipeline="orders", topic="shop.orders") == 13
    assert value(metrics, "records_skipped_total", pipeline="orders", reason="tombstone") == 1
    assert value(metrics, "holes_total", pipeline="orders") == 1
    labels = {"pipeline": "orders", "stage": "parse", "code": "json.syntax"}
    assert value(metrics, "records_dead_lettered_total", **labels) == 2


def test_exactly_one_state_is_one() -> None:
    """`pipeline_state{state="running"} == 0` is an alert."""
    metrics = Metrics(SUBJECT)
    metrics.state("running")
    metrics.state("paused")
    states = {
        state: value(metrics, "pipeline_state", pipeline="orders", state=state)
        for state in ("starting", "running", "paused", "draining", "failed", "stopped")
    }
    assert {state for state, number in states.items() if number == 1} == {"paused"}
    assert sum(number or 0 for number in states.values()) == 1


def test_a_partition_that_left_shows_no_lag_any_more() -> None:
    """A lag that stands still after a rebalance would alarm for ever."""
    metrics = Metrics(SUBJECT)
    metrics.lag(P0, Standing(0, 7, committed_ms=1_700_000_000_000), 1.5)
    metrics.lag(P1, Standing(0, 3), 0.5)
    metrics.keep_only([P1])
    metrics.keep_only([P1])
    gone = {"pipeline": "orders", "topic": "shop.orders", "partition": "0"}
    kept = gone | {"partition": "1"}
    for name in ("consumer_lag_records", "consumer_lag_seconds"):
        assert value(metrics, name, **gone) is None
        assert value(metrics, name, **kept) is not None
    assert value(metrics, "last_committed_record_timestamp_seconds", **gone) is None


def test_commits_are_counted_from_zero_by_outcome() -> None:
    """A rate over a counter that appears with its first failure misses that failure."""
    metrics = Metrics(SUBJECT)
    failed = {"pipeline": "orders", "table": "orders", "outcome": "failed"}
    assert value(metrics, "commits_total", **failed) == 0
    metrics.commit_failed("data")
    metrics.stage("data", 0.12)
    metrics.settled({P0: Advance(0, 1, rows=1)}, {}, 1_700_000_000)
    assert value(metrics, "commits_total", **failed) == 1
    assert value(metrics, "commits_total", **failed | {"outcome": "ok"}) == 1
    table = {"pipeline": "orders", "table": "orders"}
    assert value(metrics, "commit_duration_seconds_sum", **table) == 0.12
    assert value(metrics, "last_commit_timestamp_seconds", **table) == 1_700_000_000
    dead = {"pipeline": "orders", "table": "orders__dlq", "outcome": "ok"}
    assert value(metrics, "commits_total", **dead) == 0


def test_memory_of_the_process_and_the_build_are_there() -> None:
    """The two things one asks first when a process behaves unlike its neighbour."""
    text = generate_latest(Metrics(SUBJECT).registry).decode()
    assert "process_resident_memory_bytes" in text
    assert 'stream_processor_build_info{engine="embedded"' in text


def test_two_runs_in_one_process_do_not_collide() -> None:
    """Tests and notebooks make more than one."""
    first, second = Metrics(SUBJECT), Metrics(SUBJECT)
    first.rebalanced()
    assert value(first, "rebalances_total", pipeline="orders") == 1
    assert value(second, "rebalances_total", pipeline="orders") == 0
