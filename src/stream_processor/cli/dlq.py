"""`dlq`: find the cause of dead letters, mend it, replay them, and prove it."""

from __future__ import annotations

import typer

from stream_processor.cli import dlq_export

app = typer.Typer(
    help="Find out why events became dead letters, and put them right.",
    rich_markup_mode=None,
    no_args_is_help=True,
)

app.command("export", short_help="Write them to a file, as events or as tests.")(dlq_export.export)
