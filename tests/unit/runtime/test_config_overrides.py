"""One key of a file, set for one run by `--set`."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream_processor.runtime.config_loader import LoadedPipeline, load_pipeline
from stream_processor.runtime.config_problems import InvalidConfiguration
from tests.unit.runtime.test_config_loader import PIPELINE, write


def load(folder: Path, text: str = PIPELINE, **overrides: str) -> LoadedPipeline:
    dotted = {key.replace("__", "."): value for key, value in overrides.items()}
    return load_pipeline(write(folder, text), environment={"N": "9"}, overrides=dotted)


def test_a_flag_wins_over_the_file(tmp_path: Path) -> None:
    """Defaults, then the file, then flags: the nearest to the person counts."""
    loaded = load(tmp_path, PIPELINE + "max_depth: 5\n", max_depth="6", tombstone="skip")
    assert (loaded.pipeline.max_depth, loaded.pipeline.tombstone) == (6, "skip")


def test_sections_that_the_file_does_not_have_are_made(tmp_path: Path) -> None:
    """A flag must not depend on what happens to be written down."""
    loaded = load(tmp_path, sink__delta__commit__every="3s", source__kafka__topics="a,b")
    assert loaded.pipeline.sink.delta.commit.every == 3
    assert loaded.pipeline.source.kafka.topics == ("a", "b")


def test_lists_are_written_in_brackets(tmp_path: Path) -> None:
    """As in the file."""
    loaded = load(tmp_path, sink__delta__partition_by="[order_id]", engine="{memory_limit: 1GiB}")
    assert loaded.pipeline.sink.delta.partition_by == ("order_id",)
    assert loaded.pipeline.engine.memory_limit == 2**30


def test_raw_settings_keep_the_dots_of_their_names(tmp_path: Path) -> None:
    """`fetch.min.bytes` is one name."""
    overrides = {"source.kafka.properties.fetch.min.bytes": "1"}
    loaded = load_pipeline(write(tmp_path), environment={}, overrides=overrides)
    assert loaded.pipeline.source.kafka.properties == {"fetch.min.bytes": "1"}


def test_an_empty_flag_takes_a_key_back_to_its_default(tmp_path: Path) -> None:
    """There is no other way to say so on a command line."""
    assert load(tmp_path, PIPELINE + "max_depth: 5\n", max_depth="").pipeline.max_depth == 128


@pytest.mark.parametrize(
    ("key", "value", "message", "hint"),
    [
        ("source.kafka.topic", "a", 'unknown key "topic"', 'did you mean "topics"?'),
        ("name.x", "a", 'unknown key "x"', ""),
        ("max_depth", "deep", "max_depth: expected a whole number", ""),
        ("engine.drain_timeout", "5", "engine.drain_timeout: expected a number with a unit", ""),
        ("source.kafka.properties.group.id", "x", "source.kafka.properties.group.id", "group_id"),
        ("sink.delta.partition_by", "[a", "not valid YAML", ""),
    ],
)
def test_a_mistake_in_a_flag_names_the_flag(
    tmp_path: Path, key: str, value: str, message: str, hint: str
) -> None:
    """The file is right; nobody should look for the mistake there."""
    with pytest.raises(InvalidConfiguration) as caught:
        load_pipeline(write(tmp_path), environment={}, overrides={key: value})
    problem = caught.value.problems[0]
    assert problem.file == f"--set {key}"
    assert problem.message.startswith(message)
    assert hint in problem.hint


def test_a_flag_mends_a_file(tmp_path: Path) -> None:
    """A key that one environment must set need not be set in the others."""
    text = PIPELINE.replace('"localhost:9092"', "'${BROKERS}'")
    loaded = load(tmp_path, text, source__kafka__bootstrap_servers="k:1")
    assert loaded.pipeline.source.kafka.bootstrap_servers == "k:1"
