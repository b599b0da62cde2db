"""Loading a pipeline: what comes out, and everything that is wrong, at once, with its place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from stream_processor.runtime.config_loader import load_pipeline, load_schema
from stream_processor.runtime.config_problems import InvalidConfiguration, Problem, render

ROOT = Path(__file__).resolve().parents[3]
PIPELINE = """\
version: 1
name: orders
source: {kafka: {bootstrap_servers: "localhost:9092", topics: [shop.orders.v1]}}
schema: {file: schema.yaml}
sink: {delta: {table: ./lakehouse/orders}}
"""
SCHEMA = """\
version: 1
name: orders
fields:
  - {name: order_id, type: string, required: true}
  - {name: created_at, type: timestamp}
"""
BROKEN = """\
version: 1
name: orders
source:
  kafka:
    bootstrap_servers: "${KAFKA_BOOTSTRAP}"
    topics: [shop.orders.v1]
    start: yesterday
schema: {file: schema.yaml}
sink:
  delta:
    table: s3://lake/bronze/orders
    partition_on: [order_date]
    partition_by: [create_at]
    commit: {every: 30, max_records: "5"}
    storage: {access_key_id: AKIA, endpoint: "https://s3.example"}
name: again
"""


def write(folder: Path, pipeline: str = PIPELINE, schema: str = SCHEMA) -> Path:
    (folder / "schema.yaml").write_text(schema, "utf-8")
    path = folder / "pipeline.yaml"
    path.write_text(pipeline, "utf-8")
    return path


def problems_of(path: Path, **environment: str) -> tuple[Problem, ...]:
    with pytest.raises(InvalidConfiguration) as caught:
        load_pipeline(path, environment=environment, overrides={})
    return caught.value.problems


def test_the_smallest_pipeline_has_every_default(tmp_path: Path) -> None:
    """Five lines are enough to start, and the names in the tables follow from them."""
    loaded = load_pipeline(write(tmp_path), environment={}, overrides={})
    pipeline = loaded.pipeline
    assert (pipeline.pipeline_id, pipeline.group_id) == ("orders", "orders")
    assert pipeline.dead_letter_table == "./lakehouse/orders__dlq"
    assert (pipeline.sink.delta.commit.every, pipeline.max_record_bytes) == (10, 2**20)
    assert [field.name for field in loaded.schema_file.fields] == ["order_id", "created_at"]
    assert loaded.schema_path == tmp_path / "schema.yaml"
    assert loaded.warnings == ()


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    """One round of mending per mistake is what people hate most about configuration."""
    schema = SCHEMA.replace("type: string", "type: strin").replace("type: timestamp", "typ: x")
    found = problems_of(write(tmp_path, BROKEN, schema))
    assert [
        (Path(each.file).name, each.line, each.column) for each in sorted(found, key=_place)
    ] == [
        ("pipeline.yaml", 5, 25),
        ("pipeline.yaml", 7, 12),
        ("pipeline.yaml", 12, 5),
        ("pipeline.yaml", 14, 21),
        ("pipeline.yaml", 14, 38),
        ("pipeline.yaml", 15, 5),
        ("pipeline.yaml", 16, 1),
        ("schema.yaml", 4, 28),
        ("schema.yaml", 5, 5),
        ("schema.yaml", 5, 24),
    ]


def _place(problem: Problem) -> tuple[str, int, int]:
    return problem.file, problem.line, problem.column


def test_a_report_looks_as_promised(tmp_path: Path) -> None:
    """The person on call reads this at two in the morning: the line, the caret, the cure."""
    text = PIPELINE.replace("{table: ./lakehouse/orders}", "{table: ./t, partition_on: [x]}")
    path = write(tmp_path, text + "tombstone: skipp\n")
    report = render(problems_of(path)).replace(f"{tmp_path}/", "")
    assert report == (
        'pipeline.yaml:5:28  error    unknown key "partition_on" in sink.delta\n'
        "    5 | sink: {delta: {table: ./t, partition_on: [x]}}\n"
        '      |                            ^^^^^^^^^^^^  did you mean "partition_by"?\n'
        "pipeline.yaml:6:12  error    tombstone: expected dead_letter or skip\n"
        "    6 | tombstone: skipp\n"
        '      |            ^^^^^  did you mean "skip"?\n'
        "\n2 errors"
    )


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("max_depth: true", "max_depth: expected a whole number", ""),
        ('max_depth: "5"', "max_depth: expected a whole number", ""),
        ("max_depth: 1.5", "max_depth: expected a whole number", ""),
        ("max_depth: 129", "max_depth: expected less than or equal to 128", ""),
        ("id: a b", "id: expected 1 to 128 letters, digits, '.', '_' or '-'", ""),
        ("id: 5", "id: expected text; a number or true/false needs quotes to be text", ""),
        ("engine: 5", "engine: expected keys and values (a mapping)", ""),
        ("engine:", "engine: has no value", "leave the key out, or give it a value"),
        ("table: x", 'unknown key "table"', "it is a key of sink.delta, dlq"),
        ("dlq: {preview_mask: email}", "dlq.preview_mask: expected a list", ""),
        ("engine: {drain_timeout: 5}", "engine.drain_timeout: expected a number with a unit", ""),
    ],
)
def test_a_wrong_value_is_explained(tmp_path: Path, line: str, message: str, hint: str) -> None:
    """The words are ours: a library's own would say "Input should be"."""
    (problem,) = problems_of(write(tmp_path, PIPELINE + line + "\n"))
    assert problem.message.startswith(message)
    assert problem.hint == hint
    assert problem.line == 6


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("$.card", "dlq.preview_mask[1]: "),
        ("'re:(?=x)'", "dlq.preview_mask[1]: not RE2 syntax"),
        ("'re:[0-9]*'", "dlq.preview_mask[1]: it matches where there is nothing"),
    ],
)
def test_a_mask_that_hides_nothing_is_found_before_a_run(
    tmp_path: Path, entry: str, message: str
) -> None:
    """It would be noticed by whoever reads the secret."""
    (problem,) = problems_of(write(tmp_path, f"{PIPELINE}dlq: {{preview_mask: [a, {entry}]}}\n"))
    assert problem.message.startswith(message)
    assert (problem.line, problem.column) == (6, 25)


@pytest.mark.parametrize("version", ["2", "0", "true", '"1"', "1.0x"])
def test_another_version_is_refused(tmp_path: Path, version: str) -> None:
    """A newer file must not be read as if it were an old one."""
    text = PIPELINE.replace("version: 1", f"version: {version}")
    (problem,) = problems_of(write(tmp_path, text))
    assert (problem.line, problem.column) == (1, 10)
    assert "version: 1" in problem.message


def test_missing_keys_are_named_with_their_meaning(tmp_path: Path) -> None:
    """A newcomer's file is empty at first."""
    path = write(
        tmp_path, "version: 1\nname: orders\nsource: {kafka: {}}\nschema: {file: schema.yaml}"
    )
    messages = [(each.line, each.message, bool(each.hint)) for each in problems_of(path)]
    assert messages == [
        (3, 'the key "bootstrap_servers" is missing in source.kafka', True),
        (1, 'the key "sink" is missing', True),
        (3, "source.kafka.topics: no topic is named", True),
    ]
    (problem,) = problems_of(write(tmp_path, ""))
    assert problem.message == "the file is empty"


@pytest.mark.parametrize(
    ("value", "depth"), [("${DEPTH}", 7), ("${DEPTH:-3}", 7), ("${NO:-3}", 3), ("${NO:-}", 128)]
)
def test_the_type_of_its_place_decides_what_a_variable_becomes(
    tmp_path: Path, value: str, depth: int
) -> None:
    """A variable is always text; a number in a file never is."""
    path = write(tmp_path, PIPELINE + f'max_depth: "{value}"\n')
    loaded = load_pipeline(path, environment={"DEPTH": "7"}, overrides={})
    assert loaded.pipeline.max_depth == depth


@pytest.mark.parametrize("text", ["a,b", " a , b", "[a, b]", "${TOPICS}", "[a, '${B}']"])
def test_topics_are_a_list_or_one_text_with_commas(tmp_path: Path, text: str) -> None:
    """A variable can only hold text, and most people have more than one topic."""
    path = write(
        tmp_path, PIPELINE.replace("[shop.orders.v1]", f'"{text}"' if "[" not in text else text)
    )
    loaded = load_pipeline(path, environment={"TOPICS": "a,b", "B": "b"}, overrides={})
    assert loaded.pipeline.source.kafka.topics == ("a", "b")


def test_a_required_key_whose_variable_is_empty_is_said_to_be_so(tmp_path: Path) -> None:
    """To say that it is missing would be a lie: the key is there."""
    path = write(tmp_path, PIPELINE.replace("./lakehouse/orders", "'${TABLE:-}'"))
    (problem,) = problems_of(path, TABLE="")
    assert problem.message == "sink.delta.table: its references give nothing"


def test_raw_settings_need_no_quotes(tmp_path: Path) -> None:
    """Clients take text; a person writes numbers."""
    text = PIPELINE.replace("[shop.orders.v1]", "[a], properties: {a: 5, b: true, c: x, d: 0.5}")
    kafka = load_pipeline(write(tmp_path, text), environment={}, overrides={}).pipeline.source.kafka
    assert kafka.properties == {"a": "5", "b": "true", "c": "x", "d": "0.5"}


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A typing error in a path is the most common mistake of all."""
    assert problems_of(tmp_path / "no.yaml")[0].message == "there is no such file"
    assert problems_of(tmp_path)[0].message == "this is a folder"
    (problem,) = problems_of(write(tmp_path, PIPELINE.replace("schema.yaml", "other.yaml")))
    assert (problem.line, problem.message) == (4, "schema.file: there is no such file")


def test_partition_columns_are_those_of_the_schema(tmp_path: Path) -> None:
    """Found when the file is checked, not when the first batch is written."""
    delta = "{table: ./t, partition_by: [date(created_at), order_id, created_at, nothing]}"
    path = write(tmp_path, PIPELINE.replace("{table: ./lakehouse/orders}", delta))
    assert [each.message.partition(": ")[0] for each in problems_of(path)] == [
        "sink.delta.partition_by[2]",
        "sink.delta.partition_by[3]",
    ]


def test_a_schema_file_can_be_read_alone(tmp_path: Path) -> None:
    """`try --schema` needs no pipeline."""
    write(tmp_path)
    assert load_schema(tmp_path / "schema.yaml").name == "orders"
    (tmp_path / "schema.yaml").write_text("version: 1\nname: x\nfields: []\n")
    with pytest.raises(InvalidConfiguration, match="at least one field"):
        load_schema(tmp_path / "schema.yaml")


@pytest.mark.parametrize(
    ("environment", "table"),
    [
        ({"LAKEHOUSE": ""}, "./lakehouse/orders"),
        ({"LAKEHOUSE": "/data/lake"}, "/data/lake/orders"),
        (
            {"LAKEHOUSE": "s3://lake/x", "S3_ACCESS_KEY_ID": "a", "S3_SECRET_ACCESS_KEY": "b"},
            "s3://lake/x/orders",
        ),
    ],
)
def test_the_default_file_runs_on_its_variables(environment: Mapping[str, str], table: str) -> None:
    """It is the first thing that anyone runs."""
    kafka = {"KAFKA_BOOTSTRAP_SERVERS": "k:9092", "KAFKA_TOPICS": "orders,refunds"}
    loaded = load_pipeline(None, environment={**kafka, **environment}, overrides={})
    assert loaded.pipeline.source.kafka.topics == ("orders", "refunds")
    assert (loaded.pipeline.sink.delta.table, loaded.warnings) == (table, ())


def test_the_default_file_does_not_fall_back_to_anything() -> None:
    """Who loads it without variables is told which."""
    with pytest.raises(InvalidConfiguration, match="KAFKA_BOOTSTRAP_SERVERS is not set"):
        load_pipeline(None, environment={}, overrides={})
    with pytest.raises(InvalidConfiguration, match="S3_SECRET_ACCESS_KEY is not set"):
        load_pipeline(None, environment={"LAKEHOUSE": "s3://lake/x"}, overrides={})


def test_the_example_loads_without_any_variable() -> None:
    """It is copied, and then changed line by line."""
    path = ROOT / "examples/orders/pipeline.yaml"
    loaded = load_pipeline(path, environment={}, overrides={})
    assert loaded.pipeline.pipeline_id == "shop-orders.v1"
    assert loaded.warnings == ()


def test_control_characters_of_a_file_are_shown_escaped(tmp_path: Path) -> None:
    """A file from a stranger must not talk to the terminal of who checks it."""
    evil = "\u202e\u200b[/b]"
    path = write(tmp_path, PIPELINE + f"tombstone: x{evil}\nx{evil}: 1\n")
    report = str(render(problems_of(path)))
    assert "\\u202e\\u200b[/b]" in report
    assert "\u202e" not in report
