"""`table info`, `table history` and `table sql` as a person at a terminal meets them."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake

from stream_processor.cli import table_history, table_info
from stream_processor.operations.table_history import History, Moved, Version
from stream_processor.operations.table_info import Column, TableInfo
from tests.crash.world import wait_until
from tests.letters import Letters, broken, good
from tests.unit.cli.conftest import Golden
from tests.unit.cli.hostile import NASTY, assert_harmless, assert_no_markup

NASTY_TEXT = NASTY.replace("\x00", "")  # JSON may hold NUL; a golden line is easier without


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Letters:
    """Two batches: two rows, two dead letters, one of which was set aside."""
    world = Letters(tmp_path_factory.mktemp("table"))
    world.stream(good(1, note="x"), b"{", broken(2))
    world.stream(good(3, order_id=NASTY))
    world.act("ignored", 1)
    return world


def info_of(**changed: object) -> TableInfo:
    facts: dict[str, object] = {
        "name": "data",
        "uri": "s3://lake/orders",
        "version": 41,
        "versions": 40,
        "oldest_version": 2,
        "owner": "orders",
        "format": 1,
        "description": "rows of the pipeline orders",
        "columns": (
            Column("order_id", "string", "Order number", statistics=True, partition=False),
            Column("created_at_date", "date", "", statistics=False, partition=True),
        ),
        "partition_by": ("created_at_date",),
        "properties": {"delta.checkpointInterval": "20"},
        "features": (),
        "rows": 123456,
        "files": 12,
        "small_files": 10,
        "size_bytes": 5_000_000,
        "last_commit_at": "2026-11-24T14:00:37.762Z",
        "checkpoint_version": 40,
        "checkpoint_versions": 1,
        "checkpoint_seconds": 2.0,
    }
    return TableInfo(**(facts | changed))  # type: ignore[arg-type]


def test_info(capsys: pytest.CaptureFixture[str], golden: Golden) -> None:
    """What somebody needs who wants to query a table: names, types, what a filter skips."""
    table_info.show(info_of())
    golden("table-info", capsys.readouterr().out)


def version(number: int, **changed: object) -> Version:
    facts: dict[str, object] = {
        "version": number,
        "at": f"2026-11-24T14:00:{number:02}.000Z",
        "operation": "WRITE",
        "engine": "delta-rs:py-1.6.6",
        "kind": "batch",
        "foreign": False,
        "rows": 1000 * number,
        "dead_letters": number,
        "offsets": tuple(Moved("orders", "id", p, 10, 10 + p) for p in range(6)),
    }
    return Version(**(facts | changed))  # type: ignore[arg-type]


def test_history(capsys: pytest.CaptureFixture[str], golden: Golden) -> None:
    """Who, when, how much, which offsets; and who else."""
    spark = {"kind": None, "foreign": True, "dead_letters": None, "offsets": ()}
    versions = (
        version(3, operation="MERGE", engine="Apache-Spark/4.2.0 Delta-Lake/4.4.0", **spark),
        version(2),
        version(1, kind="claim", rows=0, dead_letters=None, offsets=()),
    )
    table_history.show(History("s3://lake/orders", versions, complete=False))
    out, err = capsys.readouterr()
    golden("table-history", out + err)


def test_strangers(capsys: pytest.CaptureFixture[str]) -> None:
    """Comments, properties, engines and topics are what others wrote."""
    column = Column(NASTY, NASTY, NASTY, statistics=True, partition=False)
    table_info.show(
        info_of(
            name=NASTY, uri=NASTY, owner=NASTY, description=NASTY, columns=(column,),
            partition_by=(NASTY,), properties={NASTY: NASTY}, features=(NASTY,),
        )
    )  # fmt: skip  # one per line would be nine lines
    bad = version(
        1, at=NASTY, operation=NASTY, kind=NASTY, engine=NASTY, foreign=True,
        offsets=(Moved(NASTY, NASTY, 0, 1, 2),),
    )  # fmt: skip
    table_history.show(History(NASTY, (bad,), complete=True))
    out, err = capsys.readouterr()
    for text in (out, err):
        assert_harmless(text)
        assert_no_markup(text)
        assert "evil" in text


def test_info_of_real_tables(made: Letters, capsys: pytest.CaptureFixture[str]) -> None:
    """All three, with what the engine and the people wrote."""
    assert made.run_cli("table", "info", "--json") == 0
    tables = {each["name"]: each for each in json.loads(capsys.readouterr().out)["tables"]}
    assert [(name, each["rows"]) for name, each in tables.items()] == [
        ("data", 2),
        ("dead_letters", 2),
        ("actions", 1),
    ]
    assert tables["dead_letters"]["partition_by"] == ["failed_date"]
    assert {each["owner"] for each in tables.values()} == {"orders"}
    assert tables["data"]["small_files"] == tables["data"]["files"] == 2
    assert made.run_cli("table", "info") == 0
    out = capsys.readouterr().out
    assert "dead_letters   " in out
    assert "partitioned by   failed_date" in out


def test_history_of_a_real_table(made: Letters, capsys: pytest.CaptureFixture[str]) -> None:
    """The offsets of each batch are those that the audit would name."""
    assert made.run_cli("table", "history", "--json", "--limit", "3") == 0
    found = json.loads(capsys.readouterr().out)
    newest, claim, first = found["versions"]
    assert [each["kind"] for each in (newest, claim, first)] == ["batch", "claim", "batch"]
    assert (first["rows"], first["dead_letters"]) == (1, 2)
    assert first["offsets"][0] | {"topic_id": ""} == {
        "topic": "orders", "topic_id": "", "partition": 0, "since": 0, "upto": 3,
    }  # fmt: skip
    assert not any(each["foreign"] for each in found["versions"])
    assert not found["complete"]
    assert made.run_cli("table", "history", "--table", "actions") == 0
    assert "actions" in capsys.readouterr().out


def test_somebody_else_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row that no batch of ours wrote is the first thing to know when numbers do not add up."""
    world = Letters(tmp_path)
    world.stream(good(1))
    table = DeltaTable(world.tables.data)
    rows = table.to_pyarrow_table()
    write_deltalake(
        table,
        rows,
        mode="append",
        commit_properties=CommitProperties(custom_metadata={"who": "me"}),
    )
    assert world.run_cli("table", "history") == 0
    out, err = capsys.readouterr()
    assert "FOREIGN" in out
    assert "changed by others than this pipeline: delta-rs" in err


def test_a_question(made: Letters, capsys: pytest.CaptureFixture[str], golden: Golden) -> None:
    """Columns are aligned, numbers flush and as they are, bytes as text, nothing as NULL."""
    query = (
        'SELECT d.code, d."offset", value, headers, 1234567 AS number, a.action '
        'FROM dead_letters AS d LEFT JOIN actions AS a USING (dlq_id) ORDER BY d."offset"'
    )
    assert made.run_cli("table", "sql", query) == 0
    out, err = capsys.readouterr()
    golden("table-sql", out)
    assert err == ""


def test_the_data_table_has_its_own_name_too(
    made: Letters, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody says `data` when they mean orders."""
    assert (
        made.run_cli(
            "table", "sql", "SELECT count(*) AS n FROM orders JOIN data USING (_kafka_offset)"
        )
        == 0
    )
    assert capsys.readouterr().out.split() == ["n", "2"]


def test_strangers_in_an_answer(made: Letters, capsys: pytest.CaptureFixture[str]) -> None:
    """Values of rows are Kafka's bytes; a header of a query is the query's own."""
    query = "SELECT order_id, encode(order_id) AS bytes, [order_id] AS list FROM data"
    for form in ([], ["--json"], ["--csv"]):
        assert made.run_cli("table", "sql", query, *form) == 0
        out = capsys.readouterr().out
        assert_harmless(out)
        assert "evil" in out
    assert made.run_cli("table", "sql", f'SELECT 1 AS "{NASTY_TEXT}" FROM nope{NASTY_TEXT}') == 2
    assert_harmless(capsys.readouterr().err)


def test_json_is_exact(made: Letters, capsys: pytest.CaptureFixture[str]) -> None:
    """What a program reads on is what is in the table."""
    query = "SELECT order_id, amount, created_at FROM data ORDER BY _kafka_offset DESC"
    assert made.run_cli("table", "sql", query, "--json", "--limit", "1") == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "columns": ["order_id", "amount", "created_at"],
        "rows": [
            {"order_id": NASTY, "amount": "12.50", "created_at": "2026-11-20T09:14:02.000000Z"}
        ],
        "complete": False,
    }
    assert err == "note: the first 1 rows; --limit shows more\n"


def test_csv_is_what_a_spreadsheet_reads(made: Letters, capsys: pytest.CaptureFixture[str]) -> None:
    """Quotes, commas and breaks stay in their cell; one row is one line."""
    query = "SELECT 'a,\"b' AS x, 'two\nlines' AS y, NULL AS z, [1, 2] AS \"a[b]\", true AS t"
    assert made.run_cli("table", "sql", query, "--csv") == 0
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert rows == [["x", "y", "z", "a[b]", "t"], ['a,"b', "two\\nlines", "", "[1, 2]", "true"]]


def test_a_question_from_stdin(
    made: Letters, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long queries live in files."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"SELECT\n  2 AS two;\n")))
    assert made.run_cli("table", "sql", "-") == 0
    assert capsys.readouterr().out.split() == ["two", "2"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["DROP VIEW data"], 2, "a query is one SELECT"),
        (["SELECT * FROM read_text('/etc/hostname')"], 2, "no file, address or extension"),
        (["SELECT nope FROM data"], 2, "not found"),
        (["SELECT 1", "--json", "--csv"], 2, "one of --json and --csv"),
        (["SELECT 1", "--timeout", "5"], 2, "number with a unit"),
        (["SELECT 1", "--timeout", "0s"], 2, "more than nothing"),
        (["SELECT 1", "--memory", "1"], 2, "number with a unit"),
        (["SELECT 1", "--memory", "1MiB"], 2, "64MiB at least"),
        (["SELECT 1", "--limit", "0"], 2, "--limit"),
        ([], 2, "QUERY"),
        (["SELECT order_id::INT FROM data"], 1, "TRY_CAST"),
        (["SELECT count(*) FROM range(1000000000000)", "--timeout", "300ms"], 1, "after 0.3 s"),
    ],
)
def test_endings(
    made: Letters,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    """2 is the person's query, 1 is what came of it; either is two lines."""
    assert made.run_cli("table", "sql", *arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert len(err.splitlines()) <= 2


def test_ctrl_c_ends_a_query(made: Letters) -> None:
    """DuckDB works on a thread of its own, so the terminal is heard at once."""
    query = "SELECT count(*) FROM range(1000000000000)"
    process = subprocess.Popen(
        [sys.executable, "-m", "stream_processor.main", "table", "sql", query, "-p", made.path],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        # Only a query takes so much work: the program itself starts within two seconds of it.
        wait_until(lambda: _cpu_seconds(process.pid) > 4, "the query did not begin")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert "Traceback" not in err


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_without_duckdb_it_says_what_to_type(
    made: Letters, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default install is light; what is missing is one command away."""
    monkeypatch.setitem(sys.modules, "duckdb", None)
    assert made.run_cli("table", "sql", "SELECT 1") == 2
    assert "pip install 'stream-processor[sql]'" in capsys.readouterr().err


def test_no_table_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the first run there is nothing to ask, and it says so."""
    world = Letters(tmp_path)
    for arguments in (["info"], ["history"], ["sql", "SELECT 1"]):
        assert world.run_cli("table", *arguments) == 2
        assert "there is no table at" in capsys.readouterr().err
    world.stream(good(1))
    assert world.run_cli("table", "history", "--table", "actions") == 2
    assert "not there yet" in capsys.readouterr().err
    assert world.run_cli("table", "sql", "SELECT count(*) AS n FROM actions") == 0
    assert capsys.readouterr().out.split() == ["n", "0"]
