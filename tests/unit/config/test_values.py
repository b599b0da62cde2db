"""What counts as a secret, and that models never show one."""

from __future__ import annotations

import pytest

from stream_processor.config.pipeline import KafkaSource, StorageConfig
from stream_processor.config.values import looks_secret


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "sasl.password",
        "aws_secret_access_key",
        "AWS_SESSION_TOKEN",
        "access_key_id",
        "ssl.key.pem",
        "sasl.oauthbearer.client.secret",
        "ssl.keystore.password",
        "sasl.jaas.config",
    ],
)
def test_names_of_secrets_are_known(name: str) -> None:
    """Raw settings have no type that says so; the name is all there is."""
    assert looks_secret(name)


@pytest.mark.parametrize("name", ["bootstrap_servers", "key_file", "ssl.key.location", "topics"])
def test_other_names_are_not_hidden(name: str) -> None:
    """A configuration that shows only stars explains nothing."""
    assert not looks_secret(name)


def test_no_text_form_of_a_model_holds_a_secret() -> None:
    """Tracebacks, logs and debuggers print values without asking."""
    kafka = KafkaSource.model_validate(
        {
            "bootstrap_servers": "k:9092",
            "security": {"password": "hunter2", "key_password": "hunter2"},
            "properties": {"ssl.key.pem": "hunter2", "fetch.min.bytes": "1"},
        }
    )
    storage = StorageConfig.model_validate(
        {"secret_access_key": "hunter2", "options": {"aws_session_token": "hunter2"}}
    )
    for model in (kafka, storage):
        for text in (repr(model), str(model), model.model_dump_json(), repr(model.model_dump())):
            assert "hunter2" not in text
    assert kafka.properties["ssl.key.pem"] == "hunter2"
    assert "'fetch.min.bytes': '1'" in repr(kafka)


def test_http_is_allowed_by_an_address_that_says_so() -> None:
    """One key less for everyone who starts with MinIO on their own machine."""
    assert StorageConfig(endpoint="http://127.0.0.1:9000").allow_http
    assert not StorageConfig(endpoint="https://127.0.0.1:9000").allow_http
