"""Proves from the tables alone that every offset is accounted for, exactly once.

The formula is the commit protocol's (a.3, "The proof"); for each partition, at any time:

    upto - start = |distinct offsets in [start, upto) that are a row, a dead letter, or have a
                    ledger entry replayed, purged or erased| + holes + skipped + expired

It reads what is in the tables, and nothing that the writer believes but the `txn` entries: one bit
per offset. It may run while a pipeline writes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Protocol

from stream_processor.operations.dlq.replay_places import by_partition
from stream_processor.operations.dlq.unrecorded import unrecorded_events
from stream_processor.operations.maintain.kept import kept_holes
from stream_processor.operations.snapshots import (
    Key,
    Snapshot,
    Tables,
    open_data,
    open_dead_letters,
    open_ledger,
    open_offsets,
    partitions_of,
    superseded,
)
from stream_processor.operations.verify_offsets import Offsets, without
from stream_processor.operations.verify_report import Finding, VerifyReport
from stream_processor.operations.verify_scan import (
    DATA,
    DEAD_LETTERS,
    Found,
    IdentityColumns,
    rows_of,
    scan,
)
from stream_processor.operations.verify_tally import EXAMPLES_MAX, UNRECORDED, Tally
from stream_processor.ports import Memory, Partition, Position
from stream_processor.sinks import delta_log
from stream_processor.sinks.delta_chain import overwritten
from stream_processor.sinks.delta_log import note_of

# How far back the log is read for the ranges of known holes, and how many ranges Kafka is asked
# for at once.
_NOTED_COMMITS_MAX = 1_000
_RANGES_AT_ONCE = 10_000


class HoleReader(Protocol):
    """Asks Kafka again, for `verify --connect`. Implemented by `sources.kafka_holes`."""

    def readable(self, partition: Partition) -> tuple[int, int] | None:
        """[low, high) that Kafka still holds; None when this incarnation of the topic is gone."""

    def existing(self, partition: Partition, ranges: Sequence[tuple[int, int]]) -> Iterator[int]:
        """The offsets in these ascending ranges that a `read_committed` reader gets, ascending."""


Progress = Callable[[int, int], None]
"""Told how many rows are read, of how many in the tables."""


def verify(
    tables: Tables, holes: HoleReader | None = None, progress: Progress = lambda _done, _all: None
) -> VerifyReport:
    """Account for every offset of every partition of one pipeline.

    Called by `stream-processor verify` and by tests. Reads three columns of each table; a billion
    offsets take about 400 MB. With `holes`, what the tables call a hole is asked from Kafka again.
    `progress` is called some times a second. Raises `ConfigurationError` when there is no table,
    and `Unavailable`.
    """
    # The order matters while a pipeline writes: a dead letter is durable before the data commit
    # that counts it, a ledger row before what it excuses.
    data = open_data(tables)
    dead = open_dead_letters(tables)
    ledger = open_ledger(tables)
    tallies = _tallies(data.memory, dead.memory if dead else Memory(positions={}))
    read = _Read(rows_of(data) + (rows_of(dead) if dead else 0), progress)
    findings = list(_account(read.all_of(data, DATA), tallies, Tally.add_rows))
    if dead:
        found = read.all_of(dead, DEAD_LETTERS)
        findings.extend(_account(found, tallies, Tally.add_dead_letters))
    _excuse(tables.pipeline_id, data, ledger, tallies)
    partitions = []
    _name_the_lost(tables, data, tallies)
    for _, tally in sorted(tallies.items()):
        unchecked = _ask_kafka(holes, tally, data.memory) if holes else None
        report, found_here = tally.close(unchecked)
        partitions.append(report)
        findings.extend(found_here)
    findings.extend(_overwritten(data))
    if dead:
        findings.extend(_overwritten(dead))
    return VerifyReport(
        pipeline=tables.pipeline_id,
        data_version=data.version,
        dead_letter_version=dead.version if dead else None,
        partitions=tuple(partitions),
        findings=tuple(findings),
    )


def _tallies(data: Memory, dead: Memory) -> dict[Key, Tally]:
    tallies = {}
    for key, partition in partitions_of(data, dead).items():
        there = dead.positions.get(key)
        position = data.positions.get(key)
        if position is None:
            # Claimed after our snapshot of the data was taken: nothing is done, all is pending.
            start = dead.positions[key].start
            position = Position(start, start=start)
        tallies[key] = Tally(partition, position, there.next_offset if there else 0)
    return tallies


@dataclass(slots=True)
class _Read:
    """Tells how far the reading of both tables is."""

    rows: int
    progress: Progress
    done: int = 0

    def all_of(self, table: Snapshot, columns: IdentityColumns) -> Iterator[Found]:
        """Every row of a table, as `scan` finds them."""
        for found in scan(table, columns):
            yield found
            self.done += len(found.offsets)
            self.progress(self.done, self.rows)


def _account(
    rows: Iterable[Found], tallies: Mapping[Key, Tally], add: Callable[[Tally, Offsets], None]
) -> Iterator[Finding]:
    """Put every row's offset into its partition's tally; yield what belongs to none."""
    strangers: Counter[Key | None] = Counter()
    for found in rows:
        if tally := found.key and tallies.get(found.key):
            add(tally, found.offsets)
        else:
            strangers[found.key] += len(found.offsets)
    for key, number in strangers.items():
        if key is None:
            yield Finding("no_identity", None, None, None, number)
        else:
            yield Finding("unknown_partition", None, key[0], key[1], number)


def _excuse(
    pipeline_id: str, data: Snapshot, ledger: Snapshot | None, tallies: Mapping[Key, Tally]
) -> None:
    """Put in what people did with dead letters, also what a replay could not say any more."""
    if ledger:
        for found in scan(ledger, DEAD_LETTERS, label="action"):
            if tally := found.key and tallies.get(found.key):
                tally.add_ledger(found.offsets, found.label)
    for batch in unrecorded_events(pipeline_id, data, ledger):
        for key, _, offsets in by_partition(batch):
            if tally := tallies.get(key):
                tally.add_ledger(offsets, UNRECORDED)


def _name_the_lost(tables: Tables, data: Snapshot, tallies: Mapping[Key, Tally]) -> None:
    """Give examples: offsets in no table that no commit's metadata explains as a hole."""
    lossy = {key: tally for key, tally in tallies.items() if tally.lost() > 0}
    if not lossy:
        return
    known = _noted_holes(data)
    for name, ranges in kept_holes(open_offsets(tables)).items():
        known.setdefault(name, []).extend(ranges)
    for key, tally in lossy.items():
        unexplained = without(tally.uncovered(), known.get(f"{key[0]}/{key[1]}", ()))
        offsets = chain.from_iterable(range(begin, end) for begin, end in unexplained)
        tally.exemplify("lost", list(islice(offsets, EXAMPLES_MAX)))


def _noted_holes(data: Snapshot) -> dict[str, list[tuple[int, int]]]:
    noted: dict[str, list[tuple[int, int]]] = {}
    commits = delta_log.commits_backwards(data.store, data.version)
    for commit in islice(commits, _NOTED_COMMITS_MAX):
        for name, part in note_of(commit).get("partitions", {}).items():
            ranges = (*part.get("holes", ()), *part.get("gaps", ()))
            noted.setdefault(name, []).extend((low, high) for low, high in ranges)
    return noted


def _overwritten(table: Snapshot) -> Iterator[Finding]:
    """Versions that a commit of ours names as its own, and that another engine wrote over."""
    recent = islice(delta_log.commits_backwards(table.store, table.version), _NOTED_COMMITS_MAX)
    versions: defaultdict[str, list[int]] = defaultdict(list)
    for found in overwritten(recent):
        versions[found.engine].append(found.version)
    for engine, there in versions.items():
        yield Finding(
            "commit_overwritten",
            None,
            None,
            None,
            len(there),
            tuple(sorted(there)[:EXAMPLES_MAX]),
            by=f"{engine} in {table.uri}",
        )


def _ask_kafka(holes: HoleReader, tally: Tally, memory: Memory) -> int:
    """Compare what no table holds with what Kafka delivers; return how much it cannot tell."""
    partition = tally.partition
    readable = None if superseded(partition, memory) else holes.readable(partition)
    low, high = readable or (0, 0)
    unchecked = delivered = 0
    examples: list[int] = []
    ranges = tally.uncovered()
    while some := list(islice(ranges, _RANGES_AT_ONCE)):
        inside = [(max(a, low), min(b, high)) for a, b in some if max(a, low) < min(b, high)]
        unchecked += sum(b - a for a, b in some) - sum(b - a for a, b in inside)
        for offset in holes.existing(partition, inside) if inside else ():
            delivered += 1
            if len(examples) < EXAMPLES_MAX:
                examples.append(offset)
    # What was left out by rule is delivered too, and what is lost is told as lost.
    excused = tally.position.skipped + tally.position.expired + max(tally.lost(), 0)
    if delivered > excused:
        tally.exemplify("hole_in_kafka", examples)
        tally.count("hole_in_kafka", delivered - excused)
    return unchecked
