"""For any file at all the loader returns, or says what is wrong and where. Never a stack trace."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_processor.config.pipeline import Pipeline
from stream_processor.runtime.config_loader import LoadedPipeline, load_pipeline
from stream_processor.runtime.config_problems import InvalidConfiguration, Problem, render

PIPELINE = """\
version: 1
name: orders
source: {kafka: {bootstrap_servers: "localhost:9092", topics: [orders]}}
schema: {file: schema.yaml}
sink: {delta: {table: ./lakehouse/orders, partition_by: [date(created_at)]}}
"""
SCHEMA = """\
version: 1
name: orders
fields:
  - {name: order_id, type: string, required: true}
  - {name: created_at, type: timestamp}
"""
WHOLE: dict[str, Any] = {
    "version": 1,
    "name": "orders",
    "id": "orders",
    "source": {
        "kafka": {
            "bootstrap_servers": "localhost:9092",
            "topics": ["orders"],
            "topics_regex": "^orders",
            "start": "latest",
            "security": {"protocol": "SASL_SSL", "mechanism": "PLAIN", "username": "u"},
            "properties": {"fetch.min.bytes": 65536},
        }
    },
    "schema": {"file": "schema.yaml", "coerce": "safe"},
    "sink": {
        "delta": {
            "table": "s3://lake/orders",
            "partition_by": ["date(created_at)"],
            "properties": {"delta.logRetentionDuration": "interval 30 days"},
            "commit": {"every": "10s", "max_records": 5, "max_bytes": "1MiB"},
            "storage": {"endpoint": "http://h", "access_key_id": "k", "options": {"timeout": "5s"}},
        }
    },
    "dlq": {"table": "./dead", "preview_mask": ["email"]},
    "max_record_bytes": "1MiB",
    "engine": {"memory_limit": "512MiB"},
    "observability": {"listen": "127.0.0.1:7070"},
}
FIELD: dict[str, Any] = {
    "name": "amount",
    "type": "decimal(12,2)",
    "from": "a.b[0]",
    "required": True,
    "default": 0,
    "normalise": ["trim"],
    "enum": [1, 2],
    "minimum": 0,
    "maximum": 10,
    "pattern": "^x",
    "formats": ["epoch_ms"],
    "timezone": "UTC",
}
ENVIRONMENT = {
    "EMPTY": "",
    "NUMBER": "7",
    "LINES": "a\nb: c",
    "YAML": "{a: [1, 2]}",
    "NOT_TEXT": "\udcff",
    "BOTH": "x",
    "BOTH_FILE": "/nowhere",
    "GONE_FILE": "/nowhere/at/all",
    "NUL_FILE": "a\x00b",
}
REFERENCES = (
    "${NUMBER}",
    "${EMPTY}",
    "${LINES}",
    "${YAML}",
    "${NOT_TEXT}",
    "${BOTH}",
    "${GONE}",
    "${NUL}",
    "${MISSING}",
    "${MISSING:-5s}",
    "${MISSING:?why}",
    "${file:schema.yaml}",
    "${file:}",
    "${file:../..}",
    "${file:a\x00b}",
    "$${NUMBER}",
    "${",
    "${}",
    "x${NUMBER}${NUMBER}",
    "${${NUMBER}}",
)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.sampled_from(REFERENCES),
    st.sampled_from(
        ["", "5s", "0s", "999999999999999d", "64MiB", "^a(", "\\d", "s3://", "://", "[::1"]
    ),
    st.text(max_size=12),
    st.dates(),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=6) | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


def load(files: Mapping[str, bytes], overrides: Mapping[str, str]) -> LoadedPipeline | None:
    """Load from a folder of these files; on refusal, check that the report is fit for a person."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            (Path(folder) / name).write_bytes(data)
        try:
            return load_pipeline(
                Path(folder) / "pipeline.yaml", environment=ENVIRONMENT, overrides=overrides
            )
        except InvalidConfiguration as refusal:
            error = refusal
        check_report(error, Path(folder), overrides)
    return None


def check_report(error: InvalidConfiguration, folder: Path, flags: Mapping[str, str]) -> None:
    """Places that exist, exit code 2, and nothing that moves a cursor or hides."""
    assert error.exit_code == 2
    assert any(each.severity == "error" for each in error.problems)
    for problem in error.problems:
        check_place(problem, folder, flags)
    assert [char for char in str(error) if not (char.isprintable() or char == "\n")] == []


def check_place(problem: Problem, folder: Path, overrides: Mapping[str, str]) -> None:
    """Every problem points at a place that exists in a file or a flag that was read."""
    if problem.file.startswith("--set "):
        assert problem.file.removeprefix("--set ") in overrides
        return
    path = Path(problem.file)
    assert path.parent == folder
    assert problem.line >= 1
    assert problem.column >= 1
    text = path.read_bytes().decode("utf-8", "replace")
    assert problem.line <= len(text.splitlines()) + 1


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a tree, the root too."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    return [path, *(p for key, item in items for p in paths_of(item, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """The tree with another value at the path."""
    if not path:
        return new
    items = value.items() if isinstance(value, dict) else enumerate(value)
    pairs = {k: replaced(v, path[1:], new) if k == path[0] else v for k, v in items}
    return pairs if isinstance(value, dict) else list(pairs.values())


@st.composite
def mutated(draw: st.DrawFn, whole: dict[str, Any]) -> bytes:
    """A good file in which up to four values are something else, as YAML in any style."""
    tree: Any = whole
    for _ in range(draw(st.integers(1, 4))):
        tree = replaced(tree, draw(st.sampled_from(paths_of(tree))), draw(values))
    text = yaml.safe_dump(
        tree,
        default_flow_style=draw(st.sampled_from([None, True, False])),
        sort_keys=draw(st.booleans()),
        allow_unicode=draw(st.booleans()),
    )
    return text.encode("utf-8", "surrogatepass")


@st.composite
def damaged(draw: st.DrawFn, text: str) -> bytes:
    """The bytes of a good file, cut, doubled or overwritten somewhere."""
    data = bytearray(text.encode())
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 20)))
        snippets = st.sampled_from(
            [b"\t", b"\x00", b"\xff", b"&a ", b"*a", b"<<: ", b"? ", b"!!x "]
        )
        data[start:end] = draw(
            st.binary(max_size=6) | snippets | st.just(bytes(data[start:end]) * 2)
        )
    return bytes(data)


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_a_pipeline_or_a_report(data: bytes, is_schema: bool) -> None:  # noqa: FBT001 - drawn
    """A file that is no YAML at all must be refused like a typing error: with a place."""
    files = {"pipeline.yaml": PIPELINE.encode(), "schema.yaml": SCHEMA.encode()}
    files["schema.yaml" if is_schema else "pipeline.yaml"] = data
    load(files, {})


@settings(max_examples=80, deadline=None)
@given(damaged(PIPELINE), damaged(SCHEMA))
def test_damaged_files_are_refused_with_places(pipeline: bytes, schema: bytes) -> None:
    """Most bad files are good ones with a slip."""
    load({"pipeline.yaml": pipeline, "schema.yaml": schema}, {})


@settings(max_examples=120, deadline=None)
@given(mutated(WHOLE))
def test_any_structure_in_a_pipeline_file_is_read_or_refused(pipeline: bytes) -> None:
    """Any value of any type in any place, references included, costs a report and no crash."""
    loaded = load({"pipeline.yaml": pipeline, "schema.yaml": SCHEMA.encode()}, {})
    if loaded is not None:
        assert isinstance(loaded.pipeline, Pipeline)
        render(loaded.warnings)


@settings(max_examples=80, deadline=None)
@given(mutated({"version": 1, "name": "orders", "fields": [FIELD, {"name": "x", "type": "int"}]}))
def test_any_structure_in_a_schema_file_is_read_or_refused(schema: bytes) -> None:
    """The schema file is written by people who know the events, not YAML."""
    load({"pipeline.yaml": PIPELINE.encode(), "schema.yaml": schema}, {})


KEYS = st.sampled_from([".".join(p) for p in paths_of(WHOLE) if all(isinstance(k, str) for k in p)])


@settings(max_examples=80, deadline=None)
@given(
    st.dictionaries(KEYS | st.text(max_size=10), st.text(max_size=20) | st.sampled_from(REFERENCES))
)
def test_any_flag_is_taken_or_refused_by_its_name(overrides: dict[str, str]) -> None:
    """A slip on the command line must point at the flag, not at the file."""
    load({"pipeline.yaml": PIPELINE.encode(), "schema.yaml": SCHEMA.encode()}, overrides)


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x00"), max_size=30))
def test_a_variable_never_changes_the_shape_of_a_file(value: str) -> None:
    """Whatever a variable holds, it is one text in one place: it cannot add a key."""
    text = PIPELINE.replace("name: orders", 'name: "a${VALUE}"\nid: orders')
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.yaml"
        path.write_text(text)
        (Path(folder) / "schema.yaml").write_text(SCHEMA)
        loaded = load_pipeline(path, environment={"VALUE": value}, overrides={})
        path.write_text(text.replace("${VALUE}", ""))
        without = load_pipeline(path, environment={}, overrides={})
    assert loaded.pipeline == without.pipeline.model_copy(update={"name": f"a{value}"})
