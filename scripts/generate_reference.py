"""Write what is generated from the configuration models: three JSON Schemas and the key tables.

Run it after a change of a model: `python scripts/generate_reference.py`. Tests fail until then.
"""

from __future__ import annotations

from pathlib import Path

from stream_processor.config.json_schema import (
    as_text,
    fixture_json_schema,
    pipeline_json_schema,
    schema_json_schema,
)
from stream_processor.config.reference import reference_text

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/reference/configuration.md"
BEGIN = "<!-- keys: generated from the models by scripts/generate_reference.py -->\n\n"


def main() -> None:
    """Write all four files."""
    config = ROOT / "src/stream_processor/config"
    (config / "pipeline.schema.json").write_text(as_text(pipeline_json_schema()), "utf-8")
    (config / "schema.schema.json").write_text(as_text(schema_json_schema()), "utf-8")
    (config / "fixture.schema.json").write_text(as_text(fixture_json_schema()), "utf-8")
    kept = PAGE.read_text("utf-8").partition(BEGIN)[0]
    PAGE.write_text(kept + BEGIN + reference_text(), "utf-8")


if __name__ == "__main__":
    main()
