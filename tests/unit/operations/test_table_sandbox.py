"""What a query may do: ask the tables, and nothing else."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from stream_processor.errors import ConfigurationError, StoreUnavailable
from stream_processor.operations.table_sandbox import (
    Answer,
    Bounds,
    Dataset,
    QueryFailed,
    QueryRefused,
    ask,
)
from stream_processor.operations.table_sql import columns_of, rows_of

SECRET = "the payload of somebody"
ROWS = pa.table({"id": [1, 2, 3], "note": ["a", SECRET, None]})
SMALL = Bounds(memory_bytes=128 * 2**20, seconds=20.0, rows_max=100)


def answered(query: str, bounds: Bounds = SMALL) -> list[list[object]]:
    return list(rows_of(ask(query, {"data": ROWS}, bounds)))


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) FROM data",
        "FROM data SELECT count(*)",
        "WITH few AS (SELECT * FROM data) SELECT count(*) FROM few",
        (
            "WITH RECURSIVE n AS (VALUES (1) UNION ALL SELECT col0 + 1 FROM n WHERE col0 < 3) "
            "SELECT max(col0) FROM n"
        ),
        "VALUES (3)",
        "(SELECT 3);",
        "-- a comment\nSELECT 3 /* ; */",
    ],
)
def test_a_select_is_answered(query: str) -> None:
    """What data engineers write is taken as they write it."""
    assert answered(query) == [[3]]


def test_the_tables_describe_themselves() -> None:
    """Whoever asks at night does not know the columns by heart."""
    assert answered("SHOW TABLES") == [["data"]]
    assert [row[:2] for row in answered("DESCRIBE data")] == [["id", "BIGINT"], ["note", "VARCHAR"]]
    assert len(answered("SUMMARIZE data")) == 2


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_csv('{file}')",
        "SELECT * FROM read_text('{file}')",
        "SELECT * FROM read_blob('{file}')",
        "SELECT * FROM read_json('{file}')",
        "SELECT * FROM read_parquet('{file}')",
        "SELECT * FROM parquet_metadata('{file}')",
        "SELECT * FROM sniff_csv('{file}')",
        "SELECT * FROM read_duckdb('{file}')",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM '{file}'",
        "SELECT * FROM 'http://127.0.0.1:1/x.parquet'",
        "SELECT * FROM read_csv('https://127.0.0.1:1/x.csv')",
        "SELECT * FROM read_parquet('s3://bucket/x.parquet')",
        "SELECT * FROM delta_scan('{folder}')",
        "SELECT * FROM sqlite_scan('{file}', 'x')",
        "SELECT * FROM query('COPY data TO ''{out}''')",
        "SELECT * FROM query('SELECT * FROM read_text(''{file}'')')",
        "SELECT getenv('HOME')",
        "COPY data TO '{out}'",
        "COPY (SELECT 1) TO '/dev/stdout'",
        "COPY data FROM '{file}'",
        "EXPORT DATABASE '{out}'",
        "IMPORT DATABASE '{folder}'",
        "ATTACH '{out}'",
        "ATTACH ':memory:' AS other",
        "INSTALL httpfs",
        "LOAD httpfs",
        "LOAD '{file}'",
        "SET threads = 1",
        "SET lock_configuration = false",
        "SET enable_external_access = true",
        "RESET memory_limit",
        "SET VARIABLE x = 1",
        "PRAGMA database_list",
        "PRAGMA enable_profiling",
        "CALL pragma_version()",
        "CREATE TABLE x AS SELECT 1",
        "CREATE TEMP TABLE x AS SELECT 1",
        "CREATE MACRO f(x) AS x",
        "CREATE SECRET (TYPE s3, KEY_ID 'x')",
        "INSERT INTO data VALUES (1, 'x')",
        "UPDATE data SET id = 1",
        "DELETE FROM data",
        "DROP VIEW data",
        "ALTER VIEW data RENAME TO other",
        "TRUNCATE data",
        "VACUUM",
        "CHECKPOINT",
        "BEGIN",
        "USE main",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "EXPLAIN ANALYZE SELECT 1",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP VIEW data",
        "WITH x AS (INSERT INTO data VALUES (1, 'x') RETURNING *) SELECT * FROM x",
        "SELECT * FROM mine",
        "SELECT * FROM MINE",
        "SELECT * FROM tables",
        "SELECT * FROM ROWS",
        "SELECT * FROM arrow_scan(NULL, NULL, NULL)",
        "SELECT * FROM arrow_scan(1, 2, 3)",
        "SELECT * FROM pandas_scan(1)",
        "",
        "-- nothing",
        "\x00",
        "SELECT '\ud800'",
        "SELECT " + "(" * 90_000 + "1",
        "SELECT 1 " + " " * 200_000,
    ],
)
def test_whatever_else_is_refused(query: str, tmp_path: Path) -> None:
    """No file, no address, no setting, no variable of ours, and no second statement."""
    mine = ROWS  # a Python variable of this name must not be a table
    file, out = tmp_path / "file.csv", tmp_path / "out"
    file.write_text(SECRET)
    places = {"{file}": file, "{folder}": tmp_path, "{out}": out}
    for name, place in places.items():
        query = query.replace(name, str(place))
    with pytest.raises(QueryRefused) as refused:
        ask(query, {"data": mine}, SMALL)
    assert SECRET not in f"{refused.value.message}{refused.value.hint}"
    assert "\n" not in refused.value.message
    assert sorted(tmp_path.iterdir()) == [file]


def test_the_settings_are_what_the_page_promises() -> None:
    """The second wall stands also where the first would already do."""
    wanted = {
        "enable_external_access": "false",
        "lock_configuration": "true",
        "autoload_known_extensions": "false",
        "autoinstall_known_extensions": "false",
        "allow_community_extensions": "false",
        "allow_unsigned_extensions": "false",
        "allow_persistent_secrets": "false",
        "python_enable_replacements": "false",
        "python_scan_all_frames": "false",
        "temp_directory": "",
        "memory_limit": "128.0 MiB",
        "TimeZone": "UTC",
    }
    found = {
        str(name): value
        for name, value in answered(
            "SELECT name, value FROM duckdb_settings() WHERE name IN "
            f"({', '.join(map(repr, wanted))})"
        )
    }
    assert found == wanted
    assert answered("SELECT current_setting('threads') <= 4") == [[True]]
    assert answered("SELECT count(*) FROM duckdb_secrets()") == [[0]]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT note::INT FROM data", "does not fit"),
        ("SELECT strptime(note, '%Y') FROM data", "could not finish"),
        ("SELECT json(note) FROM data", "could not finish"),
        ("SELECT error(note) FROM data", "could not finish"),
    ],
)
def test_an_error_never_quotes_a_value(query: str, words: str) -> None:
    """A payload has no business in an error that ends up in a ticket."""
    with pytest.raises(QueryFailed, match=words) as failed:
        answered(query)
    assert SECRET not in str(failed.value) + failed.value.hint


def test_a_wrong_name_is_answered_with_what_there_is() -> None:
    """A typing mistake is the commonest failure of a query."""
    with pytest.raises(QueryRefused, match='"nope" not found') as refused:
        answered("SELECT nope FROM data")
    assert "the tables are data" in refused.value.hint
    with pytest.raises(QueryRefused, match="does not parse: syntax error"):
        answered("SELEC 1")


def test_a_query_ends_at_its_time_limit() -> None:
    """A cross join by mistake must not hold the machine for a night."""
    started = time.monotonic()
    with pytest.raises(QueryFailed, match=r"stopped after 0\.3 s"):
        answered("SELECT count(*) FROM range(1000000000000)", Bounds(2**27, 0.3, 10))
    assert time.monotonic() - started < 10


def test_a_query_ends_at_its_memory_limit() -> None:
    """It fails by itself; it takes neither the machine's memory nor its disk."""
    with pytest.raises(QueryFailed, match="more than 128MiB of memory"):
        answered("SELECT string_agg(repeat('x', 1000000)) FROM range(1000)")


def test_an_answer_is_bounded_in_rows_and_in_bytes() -> None:
    """What lies behind the last row that is shown is not computed."""
    answer = ask("FROM range(1000000000000)", {}, SMALL)
    assert (answer.table.num_rows, answer.complete) == (100, False)
    assert ask("FROM range(100)", {}, SMALL).complete
    many = Bounds(memory_bytes=2**29, seconds=60.0, rows_max=1_000_000)
    with pytest.raises(QueryFailed, match="larger than 256MiB"):
        ask("SELECT repeat(md5('x'), 1000) FROM range(1000000)", {}, many)


def test_values_become_what_json_has() -> None:
    """Nothing is rounded, and nothing is a value that JSON cannot say."""
    answer = ask(
        "SELECT 1::HUGEINT AS a, 'nan'::DOUBLE AS b, INTERVAL 1 DAY AS c, TIME '10:00' AS d, "
        "TIMESTAMP_NS '2020-01-01 00:00:00.123456789' AS e, [1.5] AS f, {'x': 'y'::BLOB} AS g, "
        "MAP {'k': 2} AS h, TIMESTAMPTZ '2026-11-20 10:00:00+01' AS i, 1 AS a",
        {},
        SMALL,
    )
    assert columns_of(answer) == ["a", "b", "c", "d", "e", "f", "g", "h", "i", "a_1"]
    [row] = rows_of(answer)
    assert row[:2] == ["1", "nan"]
    assert row[3:] == [
        "10:00:00",
        "2020-01-01 00:00:00.123456789",
        ["1.5"],
        {"x": "eQ=="},
        [["k", 2]],
        "2026-11-20T09:00:00.000000Z",
        1,
    ]


def test_a_time_that_python_has_not_is_one_sentence() -> None:
    """DuckDB knows the year 290,000."""
    with pytest.raises(QueryFailed, match="cannot be shown"):
        list(rows_of(ask("SELECT 'infinity'::TIMESTAMP", {}, SMALL)))


def _delta(folder: Path) -> DeltaTable:
    """Four files of a hundred rows, in two partitions."""
    for number in range(4):
        rows = pa.table(
            {
                "id": range(number * 100, number * 100 + 100),
                "day": [f"d{number // 2}"] * 100,
                "made": pa.array([number * 10**6] * 100, pa.timestamp("us", tz="UTC")),
                "wide": ["w" * 50] * 100,
                "code": [f"c{number}-{row:02}" for row in range(100)],
            }
        )
        write_deltalake(folder, rows, mode="append", partition_by=["day"])
    return DeltaTable(folder)


def _ids(query: str, table: DeltaTable) -> Answer:
    return ask(query, {"data": Dataset.of(table.to_pyarrow_dataset())}, SMALL)


@pytest.mark.parametrize(
    ("where", "kept", "count"),
    [
        ("id = 250", 1, 1),
        ("id BETWEEN 210 AND 219", 1, 10),
        ("id IN (5, 399)", 2, 2),
        ("day = 'd1'", 2, 200),
        ("code = 'c2-07'", 1, 1),
        ("code LIKE 'c3-1%'", 1, 10),
        ("day = 'd1' AND id < 300", 1, 100),
        ("made >= TIMESTAMPTZ '1970-01-01 00:00:03Z'", 1, 100),
    ],
)
def test_a_filter_reads_only_the_files_that_can_match(
    where: str, kept: int, count: int, tmp_path: Path
) -> None:
    """Proved the hard way: all other files are gone, and the answer is the same."""
    table = _delta(tmp_path / "t")
    query = f"SELECT count(*) FROM data WHERE {where}"
    answer = list(rows_of(_ids(query, table)))
    matching = _matching_files(table, where)
    for path in set(table.file_uris()) - matching:
        Path(path).unlink()
    assert len(matching) == kept
    assert list(rows_of(_ids(query, table))) == answer == [[count]]
    with pytest.raises(StoreUnavailable, match="a file of the tables is gone"):
        _ids("SELECT count(wide) FROM data", table)


def test_a_damaged_file_is_one_sentence(tmp_path: Path) -> None:
    """It is the store that failed, not the query; and no byte of the file is quoted."""
    table = _delta(tmp_path / "t")
    path = Path(table.file_uris()[0])
    whole = path.read_bytes()
    for damaged in (b"x" * 200, whole[:-50] + b"x" * 50, whole[:30] + b"\xff" * 100 + whole[130:]):
        path.write_bytes(damaged)
        with pytest.raises(StoreUnavailable, match="not readable Parquet"):
            _ids("SELECT max(id), max(wide) FROM data WHERE id >= 0 AND wide < 'x'", table)


def _matching_files(table: DeltaTable, where: str) -> set[str]:
    """The files with at least one row that fits, found by reading them all."""
    found = set()
    for path in table.file_uris():
        rows = pq.ParquetFile(path).read()
        rows = rows.append_column("day", pa.array([path.split("day=")[1][:2]] * rows.num_rows))
        if list(rows_of(ask(f"SELECT 1 FROM data WHERE {where}", {"data": rows}, SMALL))):
            found.add(path)
    return found


def test_a_query_reads_only_the_columns_that_it_names(tmp_path: Path) -> None:
    """A dead letter's payload may be a mebibyte; who counts codes must not read it."""
    asked = []

    class Watched(Dataset):
        def scanner(self, **given: object) -> ds.Scanner:
            asked.append(given["columns"])
            return super().scanner(**given)

    dataset = Watched.of(_delta(tmp_path / "t").to_pyarrow_dataset())
    ask("SELECT max(id) FROM data WHERE day = 'd0'", {"data": dataset}, SMALL)
    assert [set(columns) for columns in asked] == [{"id", "day"}]


def test_without_duckdb_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra; the default install does not have it."""
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'stream-processor\[sql\]'"):
        ask("SELECT 1", {}, SMALL)
