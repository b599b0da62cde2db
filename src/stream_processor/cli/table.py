"""`table`: look into the tables of a pipeline, without any other tool."""

from __future__ import annotations

import typer

from stream_processor.cli import table_history, table_info, table_sql

app = typer.Typer(
    help="Look into the tables of a pipeline.", rich_markup_mode=None, no_args_is_help=True
)

app.command("info", short_help="Show columns, files and properties.")(table_info.info)
app.command("history", short_help="Show who changed a table, and when.")(table_history.history)
app.command("sql", short_help="Ask the tables a question.")(table_sql.sql)
