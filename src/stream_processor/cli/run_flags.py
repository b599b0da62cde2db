"""The flags of `run`. Those that a deployment sets once are also environment variables.

Decisions are flags only: each is meant for one start, and a variable would make it for ever.
"""

from __future__ import annotations

from typing import Annotated, Literal

import typer

Level = Literal["debug", "info", "warning", "error"]

Until = Annotated[
    Literal["latest"] | None,
    typer.Option(
        "--until",
        envvar="STREAM_PROCESSOR_UNTIL",
        help="End when everything is durable that Kafka held at the start.",
    ),
]
For = Annotated[
    str | None,
    typer.Option(
        "--for",
        metavar="DURATION",
        envvar="STREAM_PROCESSOR_FOR",
        help="End after this time, like 30s, 10m or 2h.",
    ),
]
MaxRecords = Annotated[
    int | None,
    typer.Option(
        "--max-records",
        metavar="N",
        min=1,
        envvar="STREAM_PROCESSOR_MAX_RECORDS",
        help="End after so many events, rounded up to a batch.",
    ),
]
Wait = Annotated[
    bool,
    typer.Option(
        "--wait",
        envvar="STREAM_PROCESSOR_WAIT",
        help="At the start, keep trying while Kafka or the store is away.",
    ),
]
AcceptGap = Annotated[
    bool,
    typer.Option("--accept-gap", help="Go on behind events that Kafka no longer holds."),
]
AcceptRewind = Annotated[
    bool,
    typer.Option("--accept-rewind", help="Go on with a table, or a topic, that was set back."),
]
AcceptRecreated = Annotated[
    list[str] | None,
    typer.Option(
        "--accept-recreated",
        metavar="TOPIC",
        help="Read a topic that was deleted and made again from its start. Repeatable.",
    ),
]
Reset = Annotated[
    bool,
    typer.Option("--reset", help="Read Kafka from the start into a table that was replaced."),
]
Adopt = Annotated[
    bool, typer.Option("--adopt", help="Take over a table that belongs to no pipeline.")
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on although the breaker has paused the stream.")
]
LogLevel = Annotated[
    Level | None,
    typer.Option(
        "--log-level",
        envvar="STREAM_PROCESSOR_LOG_LEVEL",
        help="The least important log lines that are written.",
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Warnings and errors only, no live line.")
]
