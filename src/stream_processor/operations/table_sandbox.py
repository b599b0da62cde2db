"""Runs one SQL query over given Arrow datasets, in a DuckDB that can reach nothing else.

DuckDB opens no file, address or database here: it is handed datasets of exact table versions, and
asks each for the columns and rows that a query needs. Every door is shut by a setting, the settings
are locked, and only a text that DuckDB's own parser calls one SELECT is run at all. DuckDB is the
extra `sql`; this is its only door.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.dataset as ds

from stream_processor.config.units import Size
from stream_processor.errors import (
    ConfigurationError,
    StoreUnavailable,
    StreamProcessorError,
    Unavailable,
)
from stream_processor.store_errors import known_failure, unanswered

MISSING = "`table sql` needs DuckDB, which is not installed: pip install 'stream-processor[sql]'"

_QUERY_CHARACTERS_MAX = 100_000
_ANSWER_BYTES_MAX = 256 * 2**20
_THREADS_MAX = 4
_GRACE_SECONDS = 2.0
_BATCH_ROWS = 1 << 16
_WIDE_BATCH_ROWS = 1 << 10  # with payloads, each of which may have a mebibyte
_ANSWER_BATCH_ROWS = 64  # a row may have many MiB, and DuckDB counts none of those it gave

# Measured on payloads of 200 kB: a third less memory than column chunks that are read whole.
_IN_PIECES = ds.ParquetFragmentScanOptions(
    pre_buffer=False, use_buffered_stream=True, buffer_size=4 * 2**20
)

# At the start; the others cannot be set before there is a database.
_AT_START = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_unsigned_extensions": "false",
    "allow_persistent_secrets": "false",
    "python_enable_replacements": "false",  # a name in a query is never a variable of ours
    "python_scan_all_frames": "false",
    "temp_directory": "",  # what does not fit into memory never goes to a disk
}
_AFTERWARDS = (
    "SET enable_progress_bar = false",
    "SET TimeZone = 'UTC'",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)

_DAMAGE = re.compile(r"not found|parquet|thrift|page|compress|snappy", re.IGNORECASE)

# Whose texts quote the query and names of columns, and never a value of a row.
_TEXT_IS_SAFE = frozenset(
    {"ParserException", "SyntaxException", "BinderException", "CatalogException"}
)
_NO_ENTRY = "a query reads the pipeline's tables and nothing else: no file, address or extension"
_ONE_SELECT = "a query is one SELECT (also WITH, FROM, VALUES, DESCRIBE, SUMMARIZE)"
_SENTENCES = {
    "PermissionException": _NO_ENTRY,
    "MissingExtensionException": _NO_ENTRY,
    "ConversionException": "the query converts a value into a type that it does not fit",
    "OutOfRangeException": "a number of the query does not fit its type",
}
_HINTS = {
    "ConversionException": "TRY_CAST gives NULL instead",
    "OutOfRangeException": "cast to a wider type, or TRY_CAST, which gives NULL instead",
}


class QueryRefused(ConfigurationError):
    """The query is no SELECT, does not parse, or reaches for something that is shut."""


class QueryFailed(StreamProcessorError):
    """The query ran into a limit, or into a value that it cannot take."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one query may cost. Bytes are those of DuckDB's memory."""

    memory_bytes: int = 2**30
    seconds: float = 60.0
    rows_max: int = 1_000


@dataclass(frozen=True, slots=True)
class Answer:
    """The first rows of what a query gave; `complete` when there were no more."""

    table: pa.Table
    complete: bool


class Dataset(ds.FileSystemDataset):  # type: ignore[misc]  # pyarrow has no types
    """A dataset that reads little ahead: DuckDB's memory limit does not see what Arrow holds."""

    @classmethod
    def of(cls, whole: ds.FileSystemDataset) -> Dataset:
        """The same files and the same statistics, by which files are left out."""
        return cls(list(whole.get_fragments()), whole.schema, whole.format, whole.filesystem)

    def scanner(self, **asked: Any) -> ds.Scanner:
        """Called by DuckDB, with the columns and the filter of a query."""
        kinds = [self.schema.field(name).type for name in asked.get("columns") or ()]
        if any(pa.types.is_binary(kind) or pa.types.is_nested(kind) for kind in kinds):
            asked["batch_size"] = _WIDE_BATCH_ROWS
            asked["fragment_scan_options"] = _IN_PIECES
        return super().scanner(
            **{"batch_size": _BATCH_ROWS, **asked}, batch_readahead=2, fragment_readahead=1
        )


def ask(query: str, tables: Mapping[str, ds.Dataset | pa.Table], bounds: Bounds) -> Answer:
    """Run one SELECT over these tables. Called by `operations.table_sql`, and by tests.

    Raises `QueryRefused` for anything that is not one SELECT over `tables`, `QueryFailed` at a
    limit, and `Unavailable` when a file of a table cannot be read.
    """
    duckdb = _library()
    if len(query) > _QUERY_CHARACTERS_MAX:
        raise QueryRefused(f"the query is longer than {_QUERY_CHARACTERS_MAX:,} characters")
    if not _is_text(query):
        raise QueryRefused("the query is not valid text")
    connection = duckdb.connect(":memory:", config=_AT_START | _shares(bounds))

    def work() -> Answer:
        with connection:  # closed by its own thread: another one must not while it is used
            for name, table in tables.items():
                connection.register(name, table)
            for setting in _AFTERWARDS:
                connection.execute(setting)
            _refuse_unless_select(connection, query)
            return _answer(connection, query, bounds)

    try:
        return _within(bounds, work, connection.interrupt)
    except duckdb.Error as error:
        _told(error, tables, bounds)


def _library() -> Any:
    try:
        import duckdb  # noqa: PLC0415 - an extra: the default install does not have it
    except ImportError as error:
        raise ConfigurationError(MISSING) from error
    return duckdb


def _is_text(query: str) -> bool:
    """A command line may hold bytes that are no text, and C ends a text at its first NUL."""
    return "\0" not in query and not any("\ud800" <= char <= "\udfff" for char in query)


def _shares(bounds: Bounds) -> dict[str, str]:
    return {
        "memory_limit": f"{bounds.memory_bytes // 2**20}MiB",
        "threads": str(min(_THREADS_MAX, os.cpu_count() or 1)),
    }


def _refuse_unless_select(connection: Any, query: str) -> None:
    """DuckDB writes down the syntax of a SELECT only; its own parser decides what one is."""
    found = connection.execute("SELECT json_serialize_sql($query)", {"query": query}).fetchone()
    syntax = json.loads(found[0])
    if syntax["error"]:
        if syntax.get("error_type") == "parser":
            raise QueryRefused(f"the query does not parse: {_one_line(syntax['error_message'])}")
        raise QueryRefused(_ONE_SELECT)
    if len(syntax["statements"]) != 1:
        raise QueryRefused(_ONE_SELECT)


def _answer(connection: Any, query: str, bounds: Bounds) -> Answer:
    """The first rows, as they come: what lies behind them is never computed."""
    reader = connection.execute(query).to_arrow_reader(_ANSWER_BATCH_ROWS)
    batches, rows, size = [], 0, 0
    for batch in reader:
        batches.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if size > _ANSWER_BYTES_MAX:
            raise QueryFailed(
                f"the answer is larger than {Size(_ANSWER_BYTES_MAX).in_words()}",
                hint="select fewer columns, or lower --limit",
            )
        if rows > bounds.rows_max:
            break
    table = pa.Table.from_batches(batches, schema=reader.schema)
    return Answer(table.slice(0, bounds.rows_max), complete=rows <= bounds.rows_max)


def _within(bounds: Bounds, work: Callable[[], Answer], interrupt: Callable[[], None]) -> Answer:
    """Run `work` on a thread of its own and wait for it, but no longer than its time.

    So Ctrl-C is heard at once, and a store that hangs holds nobody: the thread ends with the
    process.
    """
    ended: list[Answer | BaseException] = []

    def run() -> None:
        try:
            ended.append(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            ended.append(error)

    thread = threading.Thread(target=run, name="query", daemon=True)
    thread.start()
    try:
        thread.join(bounds.seconds)
    finally:
        in_time = not thread.is_alive()
        if not in_time:
            interrupt()
            thread.join(_GRACE_SECONDS)
    if not in_time or not ended:
        raise QueryFailed(
            f"the query was stopped after {bounds.seconds:g} s",
            hint="filter by a partition or by a column with statistics, or allow more: --timeout",
        )
    if isinstance(ended[0], BaseException):
        raise ended[0]
    return ended[0]


def _told(error: Exception, tables: Mapping[str, object], bounds: Bounds) -> NoReturn:
    """DuckDB's texts may quote a value of a row, so only those that cannot are shown."""
    kind = type(error).__name__
    if kind in _TEXT_IS_SAFE:
        raise QueryRefused(
            f"DuckDB does not take the query: {_one_line(str(error))}",
            hint=f"the tables are {', '.join(tables)}; `table info` shows their columns",
        ) from error
    if kind in ("PermissionException", "MissingExtensionException"):
        raise QueryRefused(_NO_ENTRY) from error
    if kind == "OutOfMemoryException":
        raise QueryFailed(
            f"the query needs more than {Size(bounds.memory_bytes).in_words()} of memory",
            hint="aggregate or filter earlier, or allow more: --memory",
        ) from error
    if "arrow_scan: get" in str(error):  # it was ours to read, and we could not
        raise _unread(str(error)) from error
    sentence = _SENTENCES.get(kind, f"DuckDB could not finish the query ({kind})")
    raise QueryFailed(sentence, hint=_HINTS.get(kind, "")) from error


def _unread(text: str) -> Unavailable:
    """Why the files of the tables could not be read."""
    known = known_failure(text, "the tables", "reading")
    if known is None and _DAMAGE.search(text):
        return StoreUnavailable(
            "a file of the tables is gone, or is not readable Parquet",
            hint="ask again, the tables may have been vacuumed meanwhile; if that does not help, "
            "restore the file from a backup",
        )
    return known or unanswered(text, "the tables", "reading")


def _one_line(text: str) -> str:
    """The first paragraph, without DuckDB's kind before it and its drawing of the place below."""
    paragraph = text.split("\n\n", maxsplit=1)[0].split("\nLINE ", maxsplit=1)[0]
    return re.sub(r"^[A-Z][A-Za-z]+ Error: ", "", " ".join(paragraph.split()))
