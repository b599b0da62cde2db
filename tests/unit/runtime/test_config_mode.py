"""Variables alone say what the default file does; nothing is ever guessed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from stream_processor.runtime.config_loader import load_pipeline
from stream_processor.runtime.config_mode import KAFKA, PROFILE, Mode, default_mode
from stream_processor.runtime.config_problems import InvalidConfiguration

KAFKA_SET = {"KAFKA_BOOTSTRAP_SERVERS": "kafka:9092", "KAFKA_TOPICS": "orders, payments"}
S3_KEYS = {"S3_ACCESS_KEY_ID": "id", "S3_SECRET_ACCESS_KEY": "key"}
S3_SET = {"LAKEHOUSE": "s3://lake/bronze", **S3_KEYS}


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"LAKEHOUSE": "/data/lakehouse"},
        {"KAFKA_BOOTSTRAP_SERVERS": "", "KAFKA_TOPICS": ""},
        {"S3_ENDPOINT": "http://127.0.0.1:9000"},
        {PROFILE: "development"},
        S3_SET,
    ],
)
def test_without_a_variable_of_kafka_it_is_local(environment: Mapping[str, str]) -> None:
    """The first try needs nothing; where the tables go does not change that."""
    assert default_mode(environment) is Mode.LOCAL


@pytest.mark.parametrize(
    "environment",
    [
        KAFKA_SET,
        {**KAFKA_SET, **S3_SET},
        {**KAFKA_SET, PROFILE: "production"},
        {"KAFKA_BOOTSTRAP_SERVERS_FILE": "/run/servers", "KAFKA_TOPICS": "orders"},
    ],
)
def test_with_both_variables_of_kafka_it_is_real(environment: Mapping[str, str]) -> None:
    """A container may get any of them as a file."""
    assert default_mode(environment) is Mode.REAL


@pytest.mark.parametrize(
    ("environment", "missing"),
    [
        ({"KAFKA_TOPICS": "orders"}, ["KAFKA_BOOTSTRAP_SERVERS"]),
        ({"KAFKA_BOOTSTRAP_SERVERS": "kafka:9092"}, ["KAFKA_TOPICS"]),
        ({"KAFKA_BOOTSTRAP_SERVERS": "kafka:9092", "KAFKA_TOPICS": ""}, ["KAFKA_TOPICS"]),
        (
            {**KAFKA_SET, "LAKEHOUSE": "s3://lake/x"},
            ["S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"],
        ),
        ({**KAFKA_SET, **S3_SET, "S3_ACCESS_KEY_ID": ""}, ["S3_ACCESS_KEY_ID"]),
        ({"LAKEHOUSE": "s3://lake/x", "S3_ACCESS_KEY_ID": "id"}, ["S3_SECRET_ACCESS_KEY"]),
        ({PROFILE: "production"}, ["KAFKA_BOOTSTRAP_SERVERS"]),
        ({PROFILE: "production", "LAKEHOUSE": "/data"}, ["KAFKA_BOOTSTRAP_SERVERS"]),
    ],
)
def test_a_missing_variable_is_named_and_never_made_up(
    environment: Mapping[str, str], missing: list[str]
) -> None:
    """Half a configuration must not write invented orders into somebody's lake."""
    with pytest.raises(InvalidConfiguration) as caught:
        default_mode(environment)
    assert [each.message.split()[0] for each in caught.value.problems] == missing
    assert all(each.hint.startswith("export ") for each in caught.value.problems)
    assert caught.value.exit_code == 2


def test_an_unknown_profile_is_refused() -> None:
    """`prod` would otherwise silently allow what `production` forbids."""
    with pytest.raises(InvalidConfiguration, match="can be production or development"):
        default_mode({**KAFKA_SET, PROFILE: "prod"})


def test_the_default_file_takes_what_the_variables_say() -> None:
    """One command on a real Kafka and a real store, without a file of one's own."""
    environment = {**KAFKA_SET, **S3_SET, "S3_ENDPOINT": "http://127.0.0.1:9000"}
    loaded = load_pipeline(None, environment=environment, overrides={})
    delta = loaded.pipeline.sink.delta
    assert loaded.pipeline.source.kafka.topics == ("orders", "payments")
    assert loaded.pipeline.source.kafka.bootstrap_servers == "kafka:9092"
    assert delta.table == "s3://lake/bronze/orders"
    assert loaded.pipeline.dead_letter_table == "s3://lake/bronze/orders__dlq"
    assert delta.storage.endpoint == "http://127.0.0.1:9000"
    assert delta.storage.allow_http
    assert delta.storage.region is None
    assert delta.storage.secret_access_key is not None
    assert delta.storage.secret_access_key.get_secret_value() == "key"
    assert loaded.warnings == ()


def test_the_default_file_writes_beside_where_it_is_started() -> None:
    """Whoever names only Kafka finds the tables where the demo has them."""
    loaded = load_pipeline(None, environment=KAFKA_SET, overrides={})
    assert loaded.pipeline.sink.delta.table == "./lakehouse/orders"
    assert loaded.pipeline.sink.delta.storage.access_key_id is None


def test_a_secret_of_the_default_file_may_come_from_a_mounted_file(tmp_path: Path) -> None:
    """Kubernetes and compose mount secrets as files."""
    (tmp_path / "key").write_text("from-a-file\n")
    environment = {**KAFKA_SET, **S3_SET, "S3_SECRET_ACCESS_KEY_FILE": str(tmp_path / "key")}
    del environment["S3_SECRET_ACCESS_KEY"]
    secret = load_pipeline(None, environment=environment, overrides={})
    key = secret.pipeline.sink.delta.storage.secret_access_key
    assert key is not None
    assert key.get_secret_value() == "from-a-file"


def test_keys_of_a_store_that_is_not_used_are_a_warning() -> None:
    """A forgotten LAKEHOUSE must be seen before a folder fills up on the wrong disk."""
    environment = {**KAFKA_SET, **S3_KEYS, "S3_REGION": "eu-west-1"}
    first, *_ = load_pipeline(None, environment=environment, overrides={}).warnings
    assert first.severity == "warning"
    assert first.message.endswith("S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY, S3_REGION")


@pytest.mark.parametrize("name", KAFKA)
def test_the_default_file_without_a_variable_of_kafka_is_an_error(name: str) -> None:
    """The local mode is a choice of whoever starts the program, never the loader's fall-back."""
    environment = {key: value for key, value in KAFKA_SET.items() if key != name}
    with pytest.raises(InvalidConfiguration, match=f"{name} is not set"):
        load_pipeline(None, environment=environment, overrides={})
