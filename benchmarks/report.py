"""Results as tables for a terminal: what was measured, and what it should be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Line = tuple[str, Any, str]


def table(name: str, result: dict[str, Any]) -> str:
    """The figures of one benchmark that have a target, one line each."""
    lines = LINES[name](result)
    wide = max(len(what) for what, _, _ in lines)
    rows = [f"  {what:<{wide}}  {value!s:>10}  {target}" for what, value, target in lines]
    return "\n".join([f"{name}: {result['question']}", *rows, ""])


def _end_to_end(result: dict[str, Any]) -> list[Line]:
    targets = result["targets"]
    lines: list[Line] = []
    for name, found in result["medians"].items():
        ratio = targets["cpu_ratio"].get(name)
        lines += [
            (f"{name}: CPU per event / yardstick's", found["cpu_ratio"], _at_most(ratio)),
            (f"{name}: microseconds of CPU per event", found["cpu_us_per_event"], ""),
            (f"{name}: events/s", round(found["events_per_second"]), ""),
            (
                f"{name}: events/s / yardstick's",
                found["rate_share"],
                f"at least {targets['rate_share']}",
            ),
            (f"{name}: peak MiB", found["peak_rss_mib"], _at_most(targets["peak_rss_mib"])),
            (
                f"{name}: commit p50 ms",
                found["commit_p50_ms"],
                _at_most(targets["commit_p50_ms"]),
            ),
        ]
    share = result["broken_rate_share"]
    return [*lines, ("rate with 20 % broken / with 1 %", share, "at least 0.5")]


def _flood(result: dict[str, Any]) -> list[Line]:
    target = f"at least {result['targets']['dead_letters_per_second']}"
    return [
        (f"{name}: dead letters/s", rate, target if name.startswith("surge") else "")
        for name, rate in result["dead_letters_per_second"].items()
    ]


def _freshness(result: dict[str, Any]) -> list[Line]:
    targets = result["targets"]
    return [
        ("p50 seconds", result["p50_seconds"], _at_most(targets["p50_seconds"])),
        ("p99 seconds", result["p99_seconds"], _at_most(targets["p99_seconds"])),
        ("rows seen", result["rows_seen"], ""),
    ]


def _restart(result: dict[str, Any]) -> list[Line]:
    limit = _at_most(result["targets"]["seconds"])
    return [
        (f"seconds to the first commit, {name}", seconds, limit)
        for name, seconds in result["seconds_to_first_commit"].items()
    ]


def _memory(result: dict[str, Any]) -> list[Line]:
    limit = _at_most(result["targets"]["peak_rss_mib"])
    steady, backlog = result["steady"], result["backlog"]
    return [
        ("slope, MiB a minute", steady["slope_mib_per_minute"], "about 0"),
        ("peak MiB under steady load", steady["peak_rss_mib"], limit),
        ("peak MiB with a backlog", backlog["peak_rss_mib"], limit),
    ]


def _at_most(limit: float | None) -> str:
    return "" if limit is None else f"at most {limit}"


LINES: dict[str, Callable[[dict[str, Any]], list[Line]]] = {
    "end-to-end": _end_to_end,
    "flood": _flood,
    "freshness": _freshness,
    "restart": _restart,
    "memory": _memory,
}
