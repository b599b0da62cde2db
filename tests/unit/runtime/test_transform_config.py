"""The transform of a pipeline file: what is wrong is told with its line, before anything runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stream_processor.operations.assemble import plan_of
from stream_processor.operations.config_show import show_config
from stream_processor.operations.fixtures import run_fixture
from stream_processor.runtime.clock import SystemClock
from stream_processor.runtime.config_loader import LoadedPipeline, load_pipeline
from stream_processor.runtime.config_problems import InvalidConfiguration
from stream_processor.schema.steps import Hook, Mask
from tests import builders
from tests.unit.runtime.test_config_loader import PIPELINE, write

HOOKS = """\
import pyarrow as pa

def clean(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch
"""


def loaded(folder: Path, transform: str, key: str = "0123456789abcdef\n") -> LoadedPipeline:
    (folder / "key").write_text(key)
    (folder / "hooks.py").write_text(HOOKS)
    path = write(folder, f"{PIPELINE}transform:\n{transform}")
    return load_pipeline(path, environment={"KEY": "0123456789abcdef"}, overrides={})


def refused(folder: Path, transform: str) -> list[tuple[int, str]]:
    """The line within the transform and the sentence of each problem."""
    with pytest.raises(InvalidConfiguration) as caught:
        loaded(folder, transform)
    return [(each.line - 5, each.message) for each in caught.value.problems]


def test_a_whole_transform_becomes_the_steps_of_the_plan(tmp_path: Path) -> None:
    """Every verb, as a person writes it; the key of a mask never shows."""
    found = loaded(
        tmp_path,
        "  - filter: order_id <> 'x'\n"
        "  - derive: {day: CAST(created_at AS DATE)}\n"
        "  - rename: {order_id: id}\n"
        '  - mask: {id: sha256}\n    key: "${file:key}"\n'
        "  - drop: [created_at]\n"
        "  - python: hooks:clean\n",
    )
    plan = plan_of(found.pipeline, found.schema_file)
    assert plan.table.names[:3] == ["id", "day", "_kafka_topic"]
    mask, hook = plan.options.transform[3], plan.options.transform[5]
    assert isinstance(mask, Mask)
    assert isinstance(hook, Hook)
    assert mask.key == b"0123456789abcdef"
    assert hook.name == "hooks:clean"
    assert plan.transform.rules["python hooks:clean"] == hook.fingerprint
    settings = {each.key: each.value for each in show_config(found)}
    assert settings["transform[0].filter"] == "order_id <> 'x'"
    assert settings["transform[3].key"] == "***"
    assert "0123456789abcdef" not in f"{settings} {found} {plan}"


def test_each_mistake_has_its_place(tmp_path: Path) -> None:
    """A person goes to the line that is named, and mends it."""
    text = "  - filter: order_id <> 'x'\n  - derive:\n      day: CAST(creatd_at AS DATE)\n"
    ((line, message),) = refused(tmp_path, f"{text}      ok: upper(order_id)\n")
    assert line == 4
    assert message.startswith("transform[1].derive.day: there is no column creatd_at; did you mean")


@pytest.mark.parametrize(
    ("transform", "line", "words"),
    [
        ("  - {filter: 'true', drop: [order_id]}\n", 2, "expected one of filter, derive"),
        ("  - {}\n", 2, "expected one of filter, derive"),
        ("  - {derive: {}}\n", 2, "expected one of filter, derive"),
        ("  - {drop: [order_id], key: '${file:key}'}\n", 2, "means nothing without a mask"),
        ("  - {mask: {order_id: sha256}, key: 0123456789abcdef}\n", 2, "must come from a file"),
        ("  - {mask: {order_id: sha256}, key: '${KEY}'}\n", 2, "must come from a file"),
        ("  - {mask: {order_id: sha256}}\n", 2, "needs a key of at least 16 bytes"),
        ("  - {mask: {order_id: md5}}\n", 2, "expected sha256 or redact"),
        ("  - {filtr: 'true'}\n", 2, 'unknown key "filtr" in transform[0]'),
        ("  - filter: now() > created_at\n", 2, "the function now is not one of those"),
        ("  - python: hooks:nothing\n", 2, "there is no function nothing in it"),
        ("  - python: nowhere:clean\n", 2, "there is no nowhere.py beside the pipeline file"),
        ("  - python: hooks.py\n", 2, "expected module:function"),
        ("  - drop: [created_at]\n  - filter: created_at IS NULL\n", 3, "no column created_at"),
    ],
)  # fmt: skip  # a list
def test_a_step_that_cannot_work_is_refused(
    tmp_path: Path, transform: str, line: int, words: str
) -> None:
    """Exit code 2 with one sentence, and nothing is written."""
    problems = refused(tmp_path, transform)
    assert [place for place, _ in problems] == [line]
    assert words in problems[0][1]


def test_a_partition_may_be_a_derived_column_and_not_a_dropped_one(tmp_path: Path) -> None:
    """The table has the columns behind the transform."""
    derived = PIPELINE.replace("orders}}", "orders, partition_by: [day]}}")
    steps = "transform: [{derive: {day: CAST(created_at AS DATE)}}, {drop: [created_at]}]\n"
    found = load_pipeline(write(tmp_path, derived + steps), environment={}, overrides={})
    assert "day" in plan_of(found.pipeline, found.schema_file).table.names
    dropped = PIPELINE.replace("orders}}", "orders, partition_by: [date(created_at)]}}")
    with pytest.raises(InvalidConfiguration, match="there is no column created_at"):
        load_pipeline(write(tmp_path, dropped + steps), environment={}, overrides={})


def test_a_changed_function_has_another_fingerprint_and_is_loaded_anew(tmp_path: Path) -> None:
    """What the rows were made by must be told by the commits, to the byte."""
    first = loaded(tmp_path, "  - python: hooks:clean\n")
    one = plan_of(first.pipeline, first.schema_file).transform.rules
    (tmp_path / "hooks.py").write_text(HOOKS + "\n# changed\n")
    other = plan_of(first.pipeline, first.schema_file).transform.rules
    assert one.keys() == other.keys() == {"transform", "python hooks:clean"}
    assert all(one[name] != other[name] for name in one)


def test_a_file_that_cannot_be_imported_is_a_mistake_of_the_file(tmp_path: Path) -> None:
    """Its own words may hold anything, so only the kind is told."""
    (tmp_path / "broken.py").write_text("raise RuntimeError('secret')\n")
    ((_, message),) = refused(tmp_path, "  - python: broken:clean\n")
    assert "cannot be imported: RuntimeError" in message
    assert "secret" not in message


def test_a_key_hides_nothing_twice(tmp_path: Path) -> None:
    """Two keys give two hashes: what is hidden with one cannot be joined with the other."""
    step = "  - mask: {order_id: sha256}\n    key: '${file:key}'\n"
    told = []
    for key in ("0123456789abcdef", "fedcba9876543210"):
        found = loaded(tmp_path, step, key)
        plan = plan_of(found.pipeline, found.schema_file)
        done = builders.judge([b'{"order_id": "a"}'], plan)
        told.append(done.valid.column("order_id").to_pylist()[0])
    assert told[0] != told[1]
    assert {len(each) for each in told} == {64}


def test_without_duckdb_an_expression_is_refused_with_what_to_install(tmp_path: Path) -> None:
    """The default install has no DuckDB; a step without expressions does not miss it."""
    program = (
        "import sys, pathlib; sys.modules['duckdb'] = None\n"
        "from stream_processor.runtime.config_loader import load_pipeline\n"
        "for name in sys.argv[1:]:\n"
        "    try:\n"
        "        load_pipeline(pathlib.Path(name), environment={}, overrides={})\n"
        "        print('fine')\n"
        "    except Exception as error:\n"
        "        print(error)\n"
    )
    paths = []
    for name, step in (("a", "drop: [created_at]"), ("b", "filter: order_id IS NULL")):
        (tmp_path / name).mkdir()
        paths.append(write(tmp_path / name, f"{PIPELINE}transform: [{{{step}}}]\n"))
    told = subprocess.run(
        [sys.executable, "-c", program, *map(str, paths)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert told.startswith("fine\n")
    assert "b/pipeline.yaml:6:13" in told
    assert "pip install 'stream-processor[sql]'" in told


def test_a_fixture_runs_the_steps_too(tmp_path: Path) -> None:
    """What is tested beside the file is what runs."""
    loaded(tmp_path, "  - filter: order_id <> 'x'\n  - derive: {n: CAST(order_id AS INTEGER)}\n")
    fixture = tmp_path / "t.test.yaml"
    fixture.write_text(
        "version: 1\npipeline: pipeline.yaml\ntests:\n"
        "  - name: all three\n"
        "    input: [{value: {order_id: x}}, {value: {order_id: '7'}}, {value: {order_id: y}}]\n"
        "    expect:\n"
        "      rows: [{order_id: '7', n: 7}]\n"
        "      dlq: [{stage: transform, code: transform.failed, expected: derive n}]\n"
        "      skipped: [{reason: filtered}]\n"
    )
    (outcome,) = run_fixture(fixture, None, SystemClock()).tests
    assert outcome.differences == ()
