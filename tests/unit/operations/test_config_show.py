"""`config show` answers which value is in force and who said so, and keeps secrets."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from stream_processor.operations.config_show import Plain, Setting, show_config
from stream_processor.runtime.config_loader import load_pipeline

Shown = tuple[Setting, ...]
SECRETS = ("planted-one", "planted-two", "planted-three", "planted-four", "planted-five")
PIPELINE = """\
version: 1
name: orders
source:
  kafka:
    bootstrap_servers: localhost:9092
    topics: ["${TOPIC}", payments]
    security:
      protocol: SASL_SSL
      mechanism: PLAIN
      username: reader
      password: "${file:password}"
    properties:
      ssl.keystore.password: "${KEYSTORE}"
      fetch.min.bytes: 65536
schema: {file: schema.yaml}
sink:
  delta:
    table: "s3://lake/${TOPIC}"
    storage:
      endpoint: http://127.0.0.1:9000
      access_key_id: planted-four
      secret_access_key: "${S3_SECRET:-planted-five}"
"""


@pytest.fixture
def shown(tmp_path: Path) -> Shown:
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    (tmp_path / "password").write_text("planted-one\n")
    fields = "[{name: order_id, type: string}]"
    (tmp_path / "schema.yaml").write_text(f"version: 1\nname: orders\nfields: {fields}\n")
    environment = {"TOPIC": "orders", "KEYSTORE": "planted-two"}
    overrides = {
        "sink.delta.commit.every": "2s",
        "dlq.storage": "{access_key_id: a, secret_access_key: planted-three, endpoint: 'http://h'}",
    }
    return show_config(
        load_pipeline(tmp_path / "pipeline.yaml", environment=environment, overrides=overrides)
    )


def setting(shown: Shown, key: str) -> Setting:
    (found,) = [each for each in shown if each.key == key]
    return found


@pytest.mark.parametrize(
    ("key", "value", "origin"),
    [
        ("name", "orders", "{file}:2"),
        ("id", "orders", "default, from name"),
        ("source.kafka.topics", ["orders", "payments"], "variable TOPIC ({file}:6)"),
        ("source.kafka.group_id", "orders", "default, from name"),
        ("source.kafka.start", "earliest", "default"),
        ("source.kafka.properties.fetch.min.bytes", "65536", "{file}:14"),
        ("sink.delta.table", "s3://lake/orders", "variable TOPIC ({file}:18)"),
        ("sink.delta.commit.every", "2s", "--set sink.delta.commit.every"),
        ("sink.delta.commit.max_bytes", "64MiB", "default"),
        ("sink.delta.storage.allow_http", True, "default, from endpoint"),
        ("sink.delta.storage.endpoint", "http://127.0.0.1:9000", "{file}:20"),
        ("dlq.table", "s3://lake/orders__dlq", "default, from sink.delta.table"),
        ("dlq.storage.endpoint", "http://h", "--set dlq.storage"),
        ("dlq.storage.region", None, "default"),
        ("schema.file", "schema.yaml", "{file}:15"),
        ("engine.memory_limit", "512MiB", "default"),
    ],
)
def test_every_setting_names_its_value_and_who_gave_it(
    shown: Shown, tmp_path: Path, key: str, value: Plain, origin: str
) -> None:
    """A person who debugs a setting must see the value in force and where to change it."""
    assert setting(shown, key) == Setting(
        key, value, origin.format(file=tmp_path / "pipeline.yaml")
    )


@pytest.mark.parametrize(
    ("key", "origin"),
    [
        ("source.kafka.security.password", "file password ({file}:11)"),
        ("source.kafka.properties.ssl.keystore.password", "variable KEYSTORE ({file}:13)"),
        ("sink.delta.storage.access_key_id", "{file}:21"),
        ("sink.delta.storage.secret_access_key", "default of variable S3_SECRET ({file}:22)"),
        ("dlq.storage.secret_access_key", "--set dlq.storage"),
    ],
)
def test_a_secret_is_masked_and_its_origin_is_not(
    shown: Shown, tmp_path: Path, key: str, origin: str
) -> None:
    """Where a password comes from helps; the password itself must never reach a terminal."""
    assert setting(shown, key) == Setting(
        key, "***", origin.format(file=tmp_path / "pipeline.yaml")
    )


def test_no_planted_secret_is_in_any_form_of_the_answer(shown: Shown) -> None:
    """The answer goes into tickets and chats."""
    everything = repr(shown) + json.dumps([asdict(each) for each in shown])
    assert [secret for secret in SECRETS if secret in everything] == []


def test_a_name_in_an_address_is_masked(tmp_path: Path) -> None:
    """Proxies are often written with their password in the address."""
    (tmp_path / "p.yaml").write_text(PIPELINE.replace("fetch.min.bytes: 65536", "client.rack: x"))
    (tmp_path / "password").write_text("x")
    fields = "[{name: order_id, type: string}]"
    (tmp_path / "schema.yaml").write_text(f"version: 1\nname: orders\nfields: {fields}\n")
    loaded = load_pipeline(
        tmp_path / "p.yaml",
        environment={"TOPIC": "t", "KEYSTORE": "k"},
        overrides={"sink.delta.storage.options.proxy_url": "http://me:planted-one@proxy:8080"},
    )
    value = setting(show_config(loaded), "sink.delta.storage.options.proxy_url").value
    assert value == "http://***@proxy:8080"
