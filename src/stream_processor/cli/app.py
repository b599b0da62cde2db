"""The command line: all verbs, and the one place where every ending becomes an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.main import get_command

from stream_processor import __version__
from stream_processor.cli import (
    check,
    config,
    demo,
    dlq,
    hints,
    infer,
    maintain,
    run,
    run_tests,
    schema,
    status,
    table,
    try_payloads,
    verify,
    version,
)
from stream_processor.cli.endings import EXIT_CODES, told, unwritable
from stream_processor.cli.options import Session
from stream_processor.cli.output import prepare_streams, say

NAME = "stream-processor"

_EPILOG = "Exit codes: " + ", ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items())

app = typer.Typer(
    name=NAME,
    help="Kafka events become rows of Delta tables, exactly once; what cannot be parsed becomes a "
    "dead letter in a table beside them. Without a verb: run the default pipeline.",
    epilog=_EPILOG,
    rich_markup_mode=None,  # plain text: quick, the same everywhere, and no markup in anything
    add_completion=False,
    pretty_exceptions_enable=False,  # `endings` shows errors, without local variables
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(value: bool) -> None:  # noqa: FBT001 - typer hands a flag's value over like this
    if value:
        say(f"{NAME} {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    _shown: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_version, help="Show the version and end."
        ),
    ] = False,
) -> None:
    """Hold what belongs to no verb."""


app.command("infer", short_help="Draft a schema file from a sample.")(infer.infer)
app.command("run", short_help="Stream events into the tables.")(run.run)
app.command("check", short_help="Check the files, and what a run would meet.")(check.check)
app.command("try", short_help="Judge events; write nothing.")(try_payloads.try_payloads)
app.command("test", short_help="Run fixture files, without any server.")(run_tests.run_tests)
app.command("verify", short_help="Prove that nothing is lost or double.")(verify.verify)
app.command("status", short_help="Show lag, commits and dead letters.")(status.status)
app.command("maintain", short_help="Join small files, vacuum, clean the logs.")(maintain.maintain)
app.command("demo", short_help="See it all on this machine.")(demo.demo)
app.command("version", short_help="Show what is installed.")(version.version)
app.add_typer(dlq.app, name="dlq", short_help="Find, mend and replay dead letters.")
app.add_typer(schema.app, name="schema", short_help="Compare the schema file with the table.")
app.add_typer(table.app, name="table", short_help="Look into the tables.")
app.add_typer(config.app, name="config", short_help="Show the settings in force.")


def run_command(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; whatever goes wrong is told on stderr.

    Called by `main`, and by tests. Never raises.
    """
    prepare_streams()
    _hush_libraries()
    session = Session()
    hints.remember(arguments)
    try:
        code = get_command(app).main(
            list(arguments) or ["run"], prog_name=NAME, obj=session, standalone_mode=False
        )
        sys.stdout.flush()
    except SystemExit as end:  # typer's way of saying that the reader of our output has gone
        return end.code if isinstance(end.code, int) else 1
    except BrokenPipeError:
        return unwritable()
    except BaseException as error:  # noqa: BLE001 - the last line of defence against stack traces
        return told(error, session)
    return int(code or 0)


def _hush_libraries() -> None:
    """Below `info` the Delta library prints rows and store settings past our log, unmasked."""
    if os.environ.get("RUST_LOG", "off").lower() not in {"off", "error", "warn", "info"}:
        os.environ["RUST_LOG"] = "info"
