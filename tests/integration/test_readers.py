"""Everybody's tools see the same tables, by the very words of the how-to, on a real store."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.fs
import pytest
from confluent_kafka import Producer
from deltalake import DeltaTable

from stream_processor.cli.app import run_command
from tests.crash.world import Job, pipeline_dict, prove, storage_dict
from tests.stack import Kafka, Minio, make_topic

pytestmark = pytest.mark.stack

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "read-the-tables.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
SCHEMA = {
    "version": 1,
    "name": "orders",
    "fields": [
        {"name": "order_id", "type": "string", "required": True, "description": "Order number"},
        {"name": "currency", "type": "string", "required": True},
        {"name": "amount", "type": "decimal(12,2)", "required": True},
        {"name": "day", "type": "date", "required": True},
    ],
}
COUNT = 600
TOTALS = [
    ("EUR", COUNT // 2, Decimal("1.10") * (COUNT // 2)),
    ("USD", COUNT // 2, Decimal("2.20") * (COUNT // 2)),
]
DEAD = [("json.syntax", 7)]


@pytest.fixture(scope="module")
def lake(
    kafka: Kafka, minio: Minio, session_bucket: str, tmp_path_factory: pytest.TempPathFactory
) -> Job:
    """A finished stream: 600 orders of two currencies over two days, and seven dead letters."""
    name = make_topic(kafka, partitions=2)
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    for number in range(COUNT):
        order = {
            "order_id": f"O-{number}",
            "currency": ("EUR", "USD")[number % 2],
            "amount": ("1.10", "2.20")[number % 2],
            "day": f"2026-11-{20 + number * 2 // COUNT}",
        }
        producer.produce(name, json.dumps(order), partition=number % 2)
    for _ in range(7):
        producer.produce(name, b"{", partition=0)
    assert producer.flush(30) == 0
    folder = tmp_path_factory.mktemp("readers")
    table = f"s3://{session_bucket}/{name}/orders"
    pipeline = pipeline_dict(kafka.bootstrap_servers, name, table, storage_dict(minio))
    pipeline["sink"]["delta"]["partition_by"] = ["day"]
    job = Job(folder, pipeline, schema=SCHEMA)
    job.finish()
    prove(job, minio.storage_options)
    (folder / "schema.json").write_text(json.dumps(SCHEMA))
    (folder / "pipeline.json").write_text(
        json.dumps({**pipeline, "schema": {"file": "schema.json"}})
    )
    return job


def typed(lake: Job, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = run_command([*arguments, "-p", str(lake.folder / "pipeline.json")])
    out, err = capsys.readouterr()
    return code, out, err


def asked(lake: Job, capsys: pytest.CaptureFixture[str], query: str) -> list[dict[str, Any]]:
    code, out, err = typed(lake, capsys, "table", "sql", query, "--json")
    assert (code, err) == (0, "")
    rows: list[dict[str, Any]] = json.loads(out)["rows"]
    return rows


def _extension(name: str) -> Path:
    found = importlib.util.find_spec(f"duckdb_extension_{name}")
    assert found is not None
    assert found.origin is not None
    folder = Path(found.origin).parent / "extensions" / f"v{duckdb.__version__}"
    return folder / f"{name}.duckdb_extension"


def test_the_page_says_it_as_it_is(
    lake: Job, minio: Minio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB, Polars and PyArrow, each block as it stands, but for the table's address."""
    monkeypatch.setenv("S3_ENDPOINT", minio.endpoint)
    monkeypatch.setenv("S3_ACCESS_KEY_ID", minio.access_key)
    monkeypatch.setenv("S3_SECRET_ACCESS_KEY", minio.secret_key)
    monkeypatch.setenv("S3_REGION", minio.region)
    loading = f"LOAD '{_extension('httpfs')}'; LOAD '{_extension('delta')}'"
    seen: dict[str, Any] = {}
    for block in BLOCKS:
        program = block.replace("s3://lake/orders", lake.table)
        # From the wheels, so that a test fetches nothing.
        program = program.replace("INSTALL httpfs; LOAD httpfs; INSTALL delta; LOAD delta", loading)
        exec(compile(program, str(PAGE), "exec"), seen)
        assert seen.pop("totals") == TOTALS
        assert seen.pop("dead") == DEAD
    assert len(BLOCKS) == 3


def test_the_commands_of_the_page_are_taken(lake: Job, capsys: pytest.CaptureFixture[str]) -> None:
    """As they are typed, and each with an answer."""
    page = PAGE.read_text()
    commands = re.findall(r"^stream-processor (.*)$", page, re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        code, out, _ = typed(lake, capsys, *shlex.split(command))
        assert code == 0, command
        assert "orders" in out or "EUR" in out or "json.syntax" in out


def test_questions_on_a_store(lake: Job, capsys: pytest.CaptureFixture[str]) -> None:
    """The commands of the page, all three tables, and no credential inside DuckDB."""
    query = (
        "SELECT currency, count(*) AS n, sum(amount) AS total FROM orders GROUP BY ALL ORDER BY 1"
    )
    found = [tuple(row.values()) for row in asked(lake, capsys, query)]
    assert found == [(name, count, str(total)) for name, count, total in TOTALS]
    query = "SELECT code, count(*) AS n FROM dead_letters GROUP BY ALL"
    assert asked(lake, capsys, query) == [{"code": "json.syntax", "n": 7}]
    assert asked(lake, capsys, "SELECT count(*) AS n FROM actions") == [{"n": 0}]
    assert asked(lake, capsys, "SELECT * FROM duckdb_secrets()") == []
    for hole in (f"delta_scan('{lake.table}')", f"read_parquet('{lake.table}/**')"):
        code, out, _ = typed(lake, capsys, "table", "sql", f"SELECT * FROM {hole}")
        assert (code, out) == (2, "")


def test_a_filter_reads_fewer_objects_of_the_store(
    lake: Job, minio: Minio, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two days one is gone from the store: whoever asks for the other one does not notice."""
    query = "SELECT count(*) AS n FROM data WHERE day = DATE '2026-11-20'"
    before = asked(lake, capsys, query)
    assert before == [{"n": COUNT // 2}]
    endpoint = minio.endpoint.partition("://")[2]
    store = pyarrow.fs.S3FileSystem(
        access_key=minio.access_key, secret_key=minio.secret_key, endpoint_override=endpoint,
        scheme="http", region=minio.region,
    )  # fmt: skip  # pairs of words
    gone = {
        path.removeprefix("s3://")
        for path in DeltaTable(lake.table, storage_options=minio.storage_options).file_uris()
        if "day=2026-11-21" in path
    }
    kept = {}
    for path in gone:
        with store.open_input_stream(path) as stream:
            kept[path] = stream.read()
        store.delete_file(path)
    try:
        assert asked(lake, capsys, query) == before
        code, out, err = typed(lake, capsys, "table", "sql", "SELECT max(order_id) FROM data")
        assert (code, out) == (3, "")
        assert "a file of the tables is gone" in err
    finally:
        for path, data in kept.items():
            with store.open_output_stream(path) as stream:
                stream.write(data)
    assert asked(lake, capsys, "SELECT count(order_id) AS n FROM data") == [{"n": COUNT}]


def test_info_and_history_on_a_store(lake: Job, capsys: pytest.CaptureFixture[str]) -> None:
    """Columns with their comments, and offsets that add up to what was sent."""
    code, out, _ = typed(lake, capsys, "table", "info", "--json")
    assert code == 0
    data, dead = json.loads(out)["tables"]
    assert data["columns"][0] == {
        "name": "order_id", "type": "string", "comment": "Order number", "statistics": True,
        "partition": False,
    }  # fmt: skip  # pairs of words
    assert (data["partition_by"], data["rows"], dead["rows"]) == (["day"], COUNT, 7)
    code, out, _ = typed(lake, capsys, "table", "history", "--json", "--limit", "1000")
    assert code == 0
    versions = json.loads(out)["versions"]
    moved = [each for version in versions for each in version["offsets"]]
    assert sum(each["upto"] - each["since"] for each in moved) == COUNT + 7
    assert sum(version["rows"] or 0 for version in versions) == COUNT
    assert sum(version["dead_letters"] or 0 for version in versions) == 7
    assert not any(version["foreign"] for version in versions)
