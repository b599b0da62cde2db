"""`config`: the settings in force, and the shapes of the files."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

import typer

from stream_processor.cli.options import AsJson, Overrides, PipelineFile, Verbose, overrides
from stream_processor.cli.output import json_text, say_columns, say_json
from stream_processor.cli.pipeline_file import load

app = typer.Typer(
    help="Show the settings in force, or what the files may hold.",
    rich_markup_mode=None,
)


@app.command("show")
def show(
    pipeline: PipelineFile = None,
    *,
    set_: Overrides = None,
    as_json: AsJson = False,
    _verbose: Verbose = False,
) -> None:
    """Show every setting as it is in force and where it came from; secrets are ***."""
    from stream_processor.operations.config_show import show_config

    loaded = load(pipeline, overrides(set_))
    settings = show_config(loaded)
    if as_json:
        files = {"file": str(loaded.path), "schema_file": str(loaded.schema_path)}
        say_json({**files, "settings": [asdict(each) for each in settings]})
        return
    rows = [(each.key, _text(each.value), each.origin) for each in settings]
    say_columns([("key", "value", "origin"), *rows])


@app.command("schema")
def schema(
    which: Annotated[
        Literal["pipeline", "schema", "fixture"],
        typer.Argument(help="Of the pipeline file, of its schema file, or of files for `test`."),
    ] = "pipeline",
    *,
    _verbose: Verbose = False,
) -> None:
    """Print the JSON Schema of a file, for editors and other tools."""
    from stream_processor.config import json_schema

    made = {
        "pipeline": json_schema.pipeline_json_schema,
        "schema": json_schema.schema_json_schema,
        "fixture": json_schema.fixture_json_schema,
    }
    say_json(made[which]())


def _text(value: object) -> str:
    """A value as a YAML file would hold it on one line."""
    return value if isinstance(value, str) else json_text(value)
