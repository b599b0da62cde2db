"""The committed JSON Schemas, the reference page and the examples follow the models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from stream_processor.config import json_schema, reference

ROOT = Path(__file__).resolve().parents[3]
CONFIG = ROOT / "src/stream_processor/config"
PIPELINES = [CONFIG / "pipeline.yaml", ROOT / "examples/orders/pipeline.yaml"]
SCHEMAS = [CONFIG / "orders.yaml", ROOT / "examples/orders/schema.yaml"]
FIXTURES = [CONFIG / "orders.test.yaml", ROOT / "examples/orders/tests.yaml"]
AGAIN = "run: python scripts/generate_reference.py"


def _errors(schema: dict[str, Any], document: object) -> list[str]:
    return [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(document)]


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("pipeline.schema.json", json_schema.pipeline_json_schema()),
        ("schema.schema.json", json_schema.schema_json_schema()),
        ("fixture.schema.json", json_schema.fixture_json_schema()),
    ],
)
def test_the_committed_json_schema_is_current(name: str, schema: dict[str, Any]) -> None:
    """An editor that underlines a right key teaches people to ignore it."""
    assert (CONFIG / name).read_text("utf-8") == json_schema.as_text(schema), AGAIN
    jsonschema.Draft7Validator.check_schema(schema)


def test_the_reference_page_has_every_key() -> None:
    """A key that is not written down does not exist for the person who needs it."""
    page = (ROOT / "docs/reference/configuration.md").read_text("utf-8")
    assert page.endswith(reference.reference_text()), AGAIN


@pytest.mark.parametrize("path", PIPELINES, ids=str)
def test_every_example_pipeline_satisfies_the_json_schema(path: Path) -> None:
    """The examples are what people copy."""
    document = yaml.safe_load(path.read_text("utf-8"))
    assert _errors(json_schema.pipeline_json_schema(), document) == []


@pytest.mark.parametrize("path", SCHEMAS, ids=str)
def test_every_example_schema_satisfies_the_json_schema(path: Path) -> None:
    """The examples are what people copy."""
    document = yaml.safe_load(path.read_text("utf-8"))
    assert _errors(json_schema.schema_json_schema(), document) == []


@pytest.mark.parametrize("path", FIXTURES, ids=str)
def test_every_example_fixture_satisfies_the_json_schema(path: Path) -> None:
    """The examples are what people copy."""
    document = yaml.load(path.read_text("utf-8"), Loader=yaml.BaseLoader)
    document["version"] = int(document["version"])  # times stay text, as our own reader has them
    assert _errors(json_schema.fixture_json_schema(), document) == []


def test_the_json_schema_finds_what_the_loader_would() -> None:
    """A schema that accepts everything would pass every test above."""
    document = yaml.safe_load(PIPELINES[1].read_text("utf-8"))
    document["sink"]["delta"]["commit"]["every"] = 30
    document["sink"]["delta"]["partition_on"] = []
    document["max_depth"] = "${DEPTH}"
    document["tombstone"] = "eat"
    assert len(_errors(json_schema.pipeline_json_schema(), document)) == 3


def test_the_reference_in_a_number_place_is_allowed() -> None:
    """Editors must not complain about `${VAR}` where a number or a choice is expected."""
    text = json.dumps(json_schema.pipeline_json_schema()["properties"]["max_depth"])
    assert r"\\$\\{" in text
