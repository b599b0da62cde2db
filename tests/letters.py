"""A small stream with dead letters: real Delta tables in a folder, events from a script.

    world = Letters(tmp_path)                     # pipeline file, schema file, tables below it
    world.stream(good(1), b"{", broken(2))        # events of orders[0], made durable in one batch
    world.run_cli("dlq", "list", "--json")        # the command line on this pipeline
    world.write_schema(amount="string")           # what a person does who mends the schema

Nothing is faked but Kafka: kernel, sinks, take-over and the pipeline file are the real ones.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable

from stream_processor.cli.app import run_command
from stream_processor.operations.assemble import data_table, dead_letter_table, ledger, plan_of
from stream_processor.operations.snapshots import Tables, tables_of
from stream_processor.operations.verify import verify
from stream_processor.operations.verify_report import VerifyReport
from stream_processor.ports import Decisions, Partition
from stream_processor.processor.plan import Plan, Stamp
from stream_processor.runtime.config_loader import LoadedPipeline, load_pipeline
from stream_processor.runtime.embedded import prepare, run_cycle
from stream_processor.runtime.object_store import open_store
from stream_processor.runtime.ownership import Terms, take_over
from stream_processor.schema import records
from stream_processor.sinks.dead_letters import DeltaDeadLetters
from stream_processor.sinks.delta import DeltaSink
from stream_processor.sinks.delta_create import TableSpec
from stream_processor.sinks.delta_table import FencedTable
from stream_processor.sources.memory import Event, MemoryLog, MemorySource

P0 = Partition("orders", "b3JkZXJzLW9yZGVycy0xMQ", 0)
NOW = 1_790_000_000.0
"""When the first batch is stamped, in seconds since the epoch; each later one an hour after."""


def good(number: int, **members: object) -> bytes:
    """An order that every schema of a `Letters` world takes."""
    order = {
        "order_id": f"O-{number}",
        "amount": "12.50",
        "currency": "EUR",
        "created_at": "2026-11-20T09:14:02Z",
    }
    return json.dumps(order | members).encode()


def broken(number: int, amount: object = "12,50") -> bytes:
    """An order whose amount is no decimal: a dead letter until the schema takes a string."""
    return good(number, amount=amount)


class Letters:
    """One pipeline `orders` in a folder. `path` is its pipeline file."""

    def __init__(self, folder: Path, pipeline: str = "") -> None:
        """`pipeline` are further lines of the pipeline file."""
        self.folder = folder
        self.path = folder / "pipeline.yaml"
        self.log = MemoryLog([])
        self.decisions = Decisions()
        """What the person said who started the stream, from now on."""
        self._batches = 0
        self.write_schema()
        self.path.write_text(
            "version: 1\nname: orders\n"
            "source: {kafka: {bootstrap_servers: 'localhost:1', topics: [orders]}}\n"
            "schema: {file: orders.yaml}\n"
            f"sink: {{delta: {{table: '{folder}/lake/orders'}}}}\n{pipeline}"
        )

    def write_schema(self, **types: str) -> None:
        """The schema file, with other types for some fields: `amount="string"`."""
        wanted = {
            "order_id": "string",
            "amount": "decimal(12,2)",
            "currency": "string",
            "created_at": "timestamp",
        } | types
        lines = [
            f"  - {{name: {name}, type: '{kind}', required: true}}" for name, kind in wanted.items()
        ]
        (self.folder / "orders.yaml").write_text(
            "\n".join(["version: 1", "name: orders", "fields:", *lines, ""])
        )

    def loaded(self) -> LoadedPipeline:
        """The files as they stand on disk now."""
        return load_pipeline(self.path, environment={}, overrides={})

    @property
    def tables(self) -> Tables:
        return tables_of(self.loaded().pipeline)

    def stream(self, *values: bytes | None, partition: Partition = P0) -> None:
        """Append events to the log, and move them into the tables as one batch of the engine."""
        source, plan, sink, dead = self._begin(partition, values)
        run_cycle(source, plan, sink, dead, self._stamp())

    def half_written(self, *values: bytes | None, partition: Partition = P0) -> None:
        """The same, but the process dies between the dead letters and the rows of the batch."""
        source, plan, sink, dead = self._begin(partition, values)
        prepared = prepare(source.poll(), plan, self._stamp(), sink)
        dead.write(prepared.dead, upto=prepared.next_offsets)

    def _begin(
        self, partition: Partition, values: Sequence[bytes | None]
    ) -> tuple[MemorySource, Plan, DeltaSink, DeltaDeadLetters]:
        high = self.log.watermarks(partition)[1]
        self.log.script += [
            Event(partition, high + index, value, key=b"k%d" % (high + index))
            for index, value in enumerate(values)
        ]
        loaded = self.loaded()
        plan = plan_of(loaded.pipeline, loaded.schema_file)
        sink = DeltaSink(self._table("data", data_table(loaded.pipeline, plan)))
        dead = DeltaDeadLetters(self._table("dead_letters", dead_letter_table(loaded.pipeline)))
        source = MemorySource(self.log)
        take_over(source, sink, dead, Terms(self.decisions, by_pattern=False))
        return source, plan, sink, dead

    def _stamp(self) -> Stamp:
        self._batches += 1
        return Stamp.at(NOW + 3600 * (self._batches - 1))

    def later(self, hours: int) -> None:
        """The next batch is stamped so much later."""
        self._batches += hours

    def act(self, action: str, *offsets: int, at: float = NOW) -> None:
        """Write into the ledger that somebody did this with these dead letters."""
        rows = [
            {name: letter.get(name) for name in records.ACTION.names}
            | {
                "action": action,
                "action_id": f"{action}-{at}-{letter['offset']}",
                "at": datetime.fromtimestamp(at, UTC),
            }
            for letter in self.letters()
            if letter["offset"] in offsets
        ]
        ledger(self.loaded().pipeline).append(pa.Table.from_pylist(rows, schema=records.ACTION))

    def rows(self) -> list[dict[str, Any]]:
        """The data table, in the order of offsets."""
        return _read(self.tables.data, [("_kafka_offset", "ascending")])

    def letters(self) -> list[dict[str, Any]]:
        """The dead letter table, in the order of offsets."""
        return _read(self.tables.dead_letters, [("offset", "ascending")])

    def actions(self) -> list[dict[str, Any]]:
        """The ledger, oldest first; empty where there is none."""
        if not DeltaTable.is_deltatable(self.tables.ledger):
            return []
        return _read(self.tables.ledger, [("at", "ascending"), ("action_id", "ascending")])

    def verify(self) -> VerifyReport:
        return verify(self.tables)

    def run_cli(self, *arguments: str) -> int:
        """One command line on this pipeline, given with `--pipeline`; returns its exit code."""
        return run_command([*arguments, "--pipeline", str(self.path)])

    def _table(self, name: str, spec: TableSpec) -> FencedTable:
        storage = self.loaded().pipeline.sink.delta.storage
        return FencedTable(spec, open_store(spec.uri, storage), name=name, decisions=Decisions())


def _read(uri: str, order: list[tuple[str, str]]) -> list[dict[str, Any]]:
    table = pa.table(DeltaTable(uri).to_pyarrow_table())
    return list(table.sort_by(order).to_pylist())
