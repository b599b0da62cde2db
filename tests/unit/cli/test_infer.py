"""`infer`: a draft that loads, the table beside it, and what it never does."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from stream_processor.cli import infer
from stream_processor.cli.output import say
from stream_processor.operations.infer import FieldReport, Inferred
from stream_processor.runtime.config_loader import load_schema
from tests.unit.cli.conftest import Command, Golden
from tests.unit.cli.hostile import NASTY, assert_harmless, assert_no_markup


def order(n: int) -> dict[str, object]:
    """The orders of the mock-up: two amounts with a comma, some customers and coupons missing."""
    made: dict[str, object] = {
        "order_id": f"O-{n}",
        "customer_id": f"C-{n % 40}",
        "amount": f"{n},50" if n in (7, 8) else n + 0.25,
        "currency": ["EUR", "USD", "GBP"][n % 3],
        "created_at": f"2026-11-24T10:00:{n % 60:02}Z",
        "updated": 1_764_000_000_123 + n,
        "items": [{"sku": "A", "qty": n}],
        "from": {"ip": "10.0.0.1"},
        "local time": f"2026-11-24T10:00:{n % 60:02}",
        "coupon": None,
    }
    if n % 5 == 0:
        del made["customer_id"]
    return made


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """A file of 100 events, of which three are no JSON objects."""
    lines = [json.dumps(order(n)) for n in range(97)]
    path = tmp_path / "orders.ndjson"
    path.write_text("\n".join([*lines[:50], "{broken", "[1]", "7", *lines[50:], ""]))
    return path


def test_a_file(command: Command, golden: Golden, sample: Path) -> None:
    """The screen and the file; the draft loads and takes all that are objects."""
    done = command("infer", sample.name, "-o", "orders.yaml")
    assert (done.code, done.err) == (0, "")
    golden("infer", done.out)
    text = (sample.parent / "orders.yaml").read_text()
    golden("infer-draft", text)
    assert len(load_schema(sample.parent / "orders.yaml").fields) == 10
    judged = command("try", "--input", "raw", "--schema", "orders.yaml", sample.name)
    verdicts = [next(iter(json.loads(line))) for line in judged.out.splitlines()]
    assert verdicts.count("row") == 97


def test_without_an_output_the_draft_is_the_answer(command: Command, sample: Path) -> None:
    """`infer x > schema.yaml` must give a file that loads: the table goes beside it."""
    done = command("infer", sample.name)
    assert done.out.startswith("# Drafted from 100 records: orders.ndjson.")
    assert "read 100 records (orders.ndjson), 3 undecodable" in done.err
    (sample.parent / "again.yaml").write_text(done.out)
    assert load_schema(sample.parent / "again.yaml").name == "orders"


def test_it_replaces_no_file(command: Command, sample: Path) -> None:
    """A schema file is a person's work."""
    (sample.parent / "orders.yaml").write_text("mine")
    assert command("infer", sample.name, "-o", "orders.yaml").code == 2
    assert (sample.parent / "orders.yaml").read_text() == "mine"
    assert command("infer", sample.name, "-o", "orders.yaml", "--force").code == 0


def test_json(command: Command, sample: Path) -> None:
    """Everything that the screens say, for a program."""
    found = json.loads(command("infer", sample.name, "--records", "10", "--json").out)
    assert (found["records"], found["undecodable"], found["rows"]) == (10, 0, 10)
    assert found["fields"][0]["field"] == "order_id"
    assert found["text"].startswith("# Drafted")


def test_a_table(command: Command, golden: Golden, tmp_path: Path) -> None:
    """Its own columns are no fields, and what a schema file cannot say is named."""
    rows = pa.table(
        {
            "id": pa.array([1, 2], pa.int64()),
            "at": pa.array([1, None], pa.timestamp("us", "UTC")),
            "price": pa.array([None, None], pa.decimal128(5, 2)),
            "half": pa.array([1, 2], pa.int8()),
            "_kafka_offset": pa.array([1, 2], pa.int64()),
        }
    )
    write_deltalake(str(tmp_path / "lake" / "orders"), rows)
    done = command("infer", "lake/orders", "-o", "orders.yaml")
    assert done.code == 0
    golden("infer-table", done.out + (tmp_path / "orders.yaml").read_text())
    assert [each.name for each in load_schema(tmp_path / "orders.yaml").fields] == [
        "id",
        "at",
        "price",
    ]


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        ("nowhere.ndjson", 2, "nowhere.ndjson cannot be read"),
        ("s3://lake/orders", 2, "S3_ACCESS_KEY_ID"),
        ("kafka://nowhere", 2, "kafka://host:port/topic"),
        ("kafka://127.0.0.1:1/orders", 3, ""),
        ("words.txt", 2, "has no JSON object among 2 records"),
        ("names.txt", 2, "no key that a path"),
    ],
)
def test_what_is_no_source(
    command: Command, tmp_path: Path, source: str, code: int, said: str
) -> None:
    """One sentence, and the code that says whose turn it is."""
    (tmp_path / "words.txt").write_text("hello\nworld\n")
    (tmp_path / "names.txt").write_text('{"a.b": 1}\n')
    done = command("infer", source)
    assert done.code == code, done.err
    assert said in done.err


def test_strangers_in_a_sample(
    command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Keys and values come from anybody."""
    event = {NASTY: NASTY, "k": NASTY, "e": {NASTY: 1}, "ž\x1b[31m": 1}
    (tmp_path / "x.ndjson").write_text("\n".join([json.dumps(event)] * 60))
    done = command("infer", "x.ndjson")
    assert done.code == 0, done.err
    for text in (done.out, done.err):
        assert_harmless(text)
    (tmp_path / "x.yaml").write_text(done.out)
    load_schema(tmp_path / "x.yaml")
    line = FieldReport(NASTY, NASTY, 1.0, 0.0, (NASTY,), (NASTY,))
    infer.show(Inferred(NASTY, 1, 1, 1, (line,), (NASTY,), ""), say)
    out = capsys.readouterr().out
    assert_harmless(out)
    assert_no_markup(out)
