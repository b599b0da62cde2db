"""Log lines on stderr: JSON off a terminal, aligned columns on one; never a payload or a secret.

Every value passes `Scrub` before it is rendered: text goes through `schema.display.printable`,
bytes are only counted, an exception of a foreign library gives its class and place but not its
message (parsers and stores quote payloads and URLs there), and any other object gives its class.
"""

from __future__ import annotations

import logging
import math
import re
import traceback
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, Protocol, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from stream_processor.config.values import MASK
from stream_processor.errors import StreamProcessorError
from stream_processor.ports import Clock, Partition
from stream_processor.schema.display import printable

Color = Literal["auto", "never"]

TEXT_LIMIT = 1000
ITEMS_MAX = 50
DEPTH_MAX = 4
FRAMES_MAX = 5
_SECRET_LENGTH_MIN = 4
"""A shorter secret is not masked by its text: it would mask half of every line."""

_FIRST = ("ts", "level", "event")
_CREDENTIALS_IN_URL = re.compile(r"(?<=://)[^/\s@]+@")
_QUERY_IN_URL = re.compile(r"(?<=://)([^\s?]*)\?\S*")


class Log(Protocol):
    """The part of a structlog logger that is used here."""

    def log(self, level: int, event: str, **fields: object) -> object:
        """Write one line, unless the level is below the chosen one."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What every line carries, and what none may show."""

    level: str = "info"
    pipeline: str = ""
    run_id: str = ""
    secrets: Collection[str] = field(default=(), repr=False)


def make_log(settings: LogSettings, stream: TextIO, clock: Clock, color: Color = "auto") -> Log:
    """Return the logger of one run, without touching any global state. Made once by `run`.

    A terminal gets columns, anything else JSON lines with `ts, level, event` first.
    """
    terminal = stream.isatty()
    processors: list[Processor] = [
        structlog.processors.add_log_level,
        _stamp(clock),
        Scrub(settings.secrets),
        _known_first,
        _columns(color) if terminal else structlog.processors.JSONRenderer(),
    ]
    log = structlog.wrap_logger(
        _Lines(stream),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(settings.level),
    )
    if terminal:
        return cast("Log", log)
    bound = {"pipeline": settings.pipeline, "run_id": settings.run_id}
    return cast("Log", log.bind(**{name: value for name, value in bound.items() if value}))


class _Lines:
    """Write whole lines. A log that cannot be written never costs a record, so errors end here."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # a closed pipe, a full disk, a closed stream
            return

    debug = info = warning = error = critical = msg


class StandardLog(logging.Handler):
    """Lead what libraries log through Python's `logging` into our log: `with StandardLog(log):`.

    Only warnings and worse: below that, delta-rs and others print whole store settings.
    """

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one library line; called by `logging`."""
        self._log.log(record.levelno, "library", logger=record.name, message=record.getMessage())

    def __enter__(self) -> StandardLog:
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self)


def described(error: BaseException) -> Mapping[str, object]:
    """Tell what an exception may tell: our own sentences whole, of foreign ones class and place."""
    told: dict[str, object] = {"type": type(error).__name__}
    if isinstance(error, StreamProcessorError):
        told["message"] = error.message
        if error.hint:
            told["hint"] = error.hint
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_MAX:]
    if frames:
        told["at"] = [f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]
    causes = [type(cause).__name__ for cause in _causes(error)]
    if causes:
        told["caused_by"] = causes
    return told


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen = {id(error)}
    cause = error.__cause__ or error.__context__
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _short(path: str) -> str:
    return "/".join(path.split("/")[-2:])


class Scrub:
    """Turn any value into harmless JSON data, without the secrets of this run. Has no state.

    A structlog processor; `value` and `text` also serve whoever shows a reason elsewhere.
    """

    def __init__(self, secrets: Collection[str] = ()) -> None:
        longest_first = sorted((s for s in secrets if len(s) >= _SECRET_LENGTH_MIN), key=len)[::-1]
        self._secrets = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def __call__(self, _logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
        """Make every field of one line plain; called by structlog."""
        return {self.text(str(name)): self.value(value) for name, value in fields.items()}

    def text(self, text: str) -> str:
        """Mask secrets, then what URLs carry beside the place, then escape and cut."""
        text = self._secrets.sub(MASK, text)
        if "://" in text:
            text = _CREDENTIALS_IN_URL.sub(MASK + "@", text)
            text = _QUERY_IN_URL.sub(r"\1?" + MASK, text)
        return printable(text, TEXT_LIMIT)

    def value(self, value: object, depth: int = 0) -> object:
        """Return the value with bounded size and depth, and nothing in it that could quote data."""
        if isinstance(value, str | Partition):
            return self.text(str(value))
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else str(value)
        if isinstance(value, bytes | bytearray | memoryview):
            return f"<{len(value)} bytes>"
        return self._nested(value, depth)

    def _nested(self, value: object, depth: int) -> object:
        if isinstance(value, BaseException):
            return self.value(described(value), depth)
        if depth < DEPTH_MAX and isinstance(value, Mapping):
            pairs = list(value.items())[:ITEMS_MAX]
            return {self.text(_key(key)): self.value(item, depth + 1) for key, item in pairs}
        if depth < DEPTH_MAX and isinstance(value, list | tuple | set | frozenset):
            return [self.value(item, depth + 1) for item in list(value)[:ITEMS_MAX]]
        return f"<{type(value).__name__}>"


def _key(key: object) -> str:
    """Keys of mappings are names, numbers, partitions or tuples of them."""
    if isinstance(key, tuple):
        return "/".join(map(_key, key))
    return str(key) if isinstance(key, str | int | Partition) else f"<{type(key).__name__}>"


def _stamp(clock: Clock) -> Processor:
    def stamp(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
        now = datetime.fromtimestamp(clock.now(), UTC)
        fields["ts"] = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return fields

    return stamp


def _known_first(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    head = {name: fields[name] for name in _FIRST if name in fields}
    return {**head, **fields}


def _columns(color: Color) -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=color == "auto",
        timestamp_key="ts",
        exception_formatter=structlog.dev.plain_traceback,  # the default prints local variables
        sort_keys=False,
        pad_event_to=0,
    )
