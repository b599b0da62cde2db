"""JSON Schema of the pipeline, schema and fixture files, for editors; generated from the models.

Draft 7, which is what the YAML language servers of the common editors read. The committed files
beside this module are written by `scripts/generate_reference.py`, and a test compares them.
"""

from __future__ import annotations

import json
from typing import Any

from stream_processor.config.fields import SchemaFile
from stream_processor.config.fixture import FixtureFile
from stream_processor.config.model import Model
from stream_processor.config.pipeline import Pipeline

_DRAFT = "http://json-schema.org/draft-07/schema#"
_REFERENCE = {"type": "string", "pattern": r"\$\{"}


def pipeline_json_schema() -> dict[str, Any]:
    """What a pipeline file may hold. Called by `config schema` and by the generator."""
    return dict(_with_references(_draft_7(Pipeline, "stream_processor pipeline")))


def schema_json_schema() -> dict[str, Any]:
    """What a schema file may hold. Called by `config schema` and by the generator."""
    return _draft_7(SchemaFile, "stream_processor schema")


def fixture_json_schema() -> dict[str, Any]:
    """What a fixture file of `test` may hold. Called by `config schema` and by the generator."""
    return _draft_7(FixtureFile, "stream_processor fixture")


def as_text(schema: dict[str, Any]) -> str:
    """The schema as the committed file has it."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _draft_7(model: type[Model], title: str) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True, ref_template="#/definitions/{model}")
    definitions = schema.pop("$defs", {})
    whole = {"$schema": _DRAFT, **schema, "title": title, "definitions": definitions}
    return dict(_tidy(whole))


def _tidy(node: Any) -> Any:
    """Draft 7 ignores whatever stands beside `$ref`, and generated titles only repeat the key."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    tidy = {key: _tidy(item) for key, item in node.items() if not _is_made_up(node, key)}
    if "description" in tidy and isinstance(tidy["description"], str):
        tidy["description"] = " ".join(tidy["description"].split())
    if "$ref" in tidy and len(tidy) > 1:
        return {**{k: v for k, v in tidy.items() if k != "$ref"}, "allOf": [{"$ref": tidy["$ref"]}]}
    return tidy


def _is_made_up(node: dict[str, Any], key: str) -> bool:
    return key == "title" and isinstance(node[key], str) and "$schema" not in node


def _with_references(node: Any) -> Any:
    """Let `${...}` stand wherever a scalar that is not free text is expected."""
    if isinstance(node, list):
        return [_with_references(item) for item in node]
    if not isinstance(node, dict):
        return node
    free_text = node.get("type") == "string" and not {"enum", "pattern"} & set(node)
    is_scalar = isinstance(node.get("type"), str) and node["type"] not in {"object", "array"}
    if is_scalar and not free_text and node["type"] != "null" and node.get("const") != 1:
        kept = {key: node[key] for key in ("description", "default") if key in node}
        bare = {key: value for key, value in node.items() if key not in kept}
        return {**kept, "anyOf": [bare, _REFERENCE]}
    return {key: _with_references(item) for key, item in node.items()}
