"""Log lines: readable by a machine, and never a way out for payloads, secrets or escapes."""

import io
import json
import logging
from collections.abc import Iterator

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from stream_processor.errors import StoreUnavailable
from stream_processor.ports import Partition
from stream_processor.runtime.logging_setup import (
    Color,
    Log,
    LogSettings,
    Scrub,
    StandardLog,
    make_log,
)
from tests.unit.runtime.manual_clock import ManualClock

SECRET = "correct-horse-battery"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Closed(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def log(stream: io.StringIO) -> Log:
    settings = LogSettings("info", "orders", "r1", {SECRET, "ab"})
    return make_log(settings, stream, ManualClock())


def test_a_line_is_json_with_the_known_fields_first(log: Log, stream: io.StringIO) -> None:
    """Collectors index these names; people read the beginning of a line."""
    log.log(logging.INFO, "committed", rows=3, partition=Partition("orders", "AAA", 4))
    (line,) = lines(stream)
    assert list(line)[:3] == ["ts", "level", "event"]
    assert line == {
        "ts": "2023-11-14T22:30:00.000Z",
        "level": "info",
        "event": "committed",
        "pipeline": "orders",
        "run_id": "r1",
        "rows": 3,
        "partition": "orders[4]",
    }


def test_below_the_level_nothing_is_written(log: Log, stream: io.StringIO) -> None:
    """`log_level` in the file means what it says."""
    log.log(logging.DEBUG, "detail")
    assert stream.getvalue() == ""


def test_a_terminal_gets_columns_and_no_color_is_obeyed() -> None:
    """A person reads the terminal; colour codes in a copied line help nobody."""
    cases: list[tuple[Color, bool]] = [("auto", True), ("never", False)]
    for color, colored in cases:
        terminal = Terminal()
        make_log(LogSettings(), terminal, ManualClock(), color).log(logging.INFO, "x", rows=3)
        assert "rows" in terminal.getvalue()
        assert not terminal.getvalue().startswith("{")
        assert ("\x1b[" in terminal.getvalue()) is colored


@pytest.mark.parametrize("make_stream", [io.StringIO, Terminal])
def test_no_escape_of_a_stranger_reaches_the_stream(make_stream: type[io.StringIO]) -> None:
    """A topic name or a quoted header could otherwise write the clipboard of whoever tails."""
    out = make_stream()
    log = make_log(LogSettings(), out, ManualClock(), "never")
    evil = "a\x1b]52;c;x\x07\x9b[/b]\u202e\x00\nb"
    log.log(logging.INFO, evil, **{evil: evil, "nested": {evil: [evil]}, "raw": evil.encode()})
    assert out.getvalue().count("\n") == 1
    assert out.getvalue().rstrip("\n").isprintable()


def test_payloads_and_unknown_objects_are_not_rendered(log: Log, stream: io.StringIO) -> None:
    """The repr of a batch is the data of customers."""
    batch = pa.record_batch({"value": [b"customer"]})
    log.log(logging.INFO, "x", value=b"customer", batch=batch, secret=SecretStr("customer"))
    assert "customer" not in stream.getvalue()
    assert lines(stream)[0]["value"] == "<8 bytes>"
    assert lines(stream)[0]["batch"] == "<RecordBatch>"


def test_secrets_are_masked_wherever_they_stand(log: Log, stream: io.StringIO) -> None:
    """A library may quote the key it was given; a log is read by many."""
    log.log(
        logging.INFO,
        "x",
        deep={"list": [f"key={SECRET}!"], SECRET: 1},
        url="GET https://user:pw@store/b/k?X-Signature=abc&y=1 failed, s3://u@b/k ok",
    )
    assert SECRET not in stream.getvalue()
    line = lines(stream)[0]
    assert line["deep"] == {"list": ["key=***!"], "***": 1}
    assert line["url"] == "GET https://***@store/b/k?*** failed, s3://***@b/k ok"


def boom(payload: str) -> None:
    try:
        int(payload)  # its message quotes the text
    except ValueError as error:
        raise StoreUnavailable("the store does not answer", hint="is it up?") from error


def test_an_exception_tells_its_place_but_no_foreign_message(log: Log, stream: io.StringIO) -> None:
    """Parsers quote what they could not parse; where it happened is what helps."""
    with pytest.raises(StoreUnavailable) as caught:
        boom("customer")
    log.log(logging.ERROR, "failed", error=caught.value)
    assert "customer" not in stream.getvalue()
    error = lines(stream)[0]["error"]
    assert isinstance(error, dict)
    assert error["type"] == "StoreUnavailable"
    assert error["message"] == "the store does not answer"
    assert error["hint"] == "is it up?"
    assert error["caused_by"] == ["ValueError"]
    assert "test_logging.py" in error["at"][-1]


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(json_like)
def test_any_value_becomes_strict_json(value: object) -> None:
    """One line that a collector cannot read may be the one that matters."""
    json.dumps(Scrub().value(value), allow_nan=False).encode()


def test_size_and_depth_are_bounded() -> None:
    """A loop of references or a list of a million must not become a line."""
    loop: list[object] = []
    loop.append(loop)
    shown = Scrub().value({"loop": loop, "many": list(range(10**5)), "long": "x" * 10**6})
    assert len(json.dumps(shown)) < 2000


def test_a_closed_stream_never_stops_the_engine() -> None:
    """`run 2>&1 | head` ends the reader; the records go on."""
    make_log(LogSettings(), Closed(), ManualClock()).log(logging.ERROR, "x")


@pytest.fixture
def library() -> Iterator[logging.Logger]:
    logger = logging.getLogger("some.library")
    yield logger
    assert logging.getLogger().handlers == [
        handler for handler in logging.getLogger().handlers if not isinstance(handler, StandardLog)
    ]


def test_what_libraries_log_comes_out_through_the_same_door(
    log: Log, stream: io.StringIO, library: logging.Logger
) -> None:
    """Otherwise a library would print secrets and escapes beside our clean lines."""
    with StandardLog(log):
        library.warning("retrying %s", f"https://store/?sig={SECRET}\x1b[0m")
        library.info("store settings: %s", SECRET)
    library.warning("not ours any more")
    (line,) = lines(stream)
    assert line["event"] == "library"
    assert line["logger"] == "some.library"
    assert line["message"] == "retrying https://store/?***"
