"""No report of a wrong configuration holds a secret, however the file, or the slip, looks."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from pathlib import Path

import pytest

from stream_processor.runtime.config_loader import load_pipeline
from stream_processor.runtime.config_problems import InvalidConfiguration

SECRET = "hunter2"
PIPELINE = """\
version: 1
name: orders
source:
  kafka:
    bootstrap_servers: {servers}
    topics: [orders]
    {security}
schema: {{file: schema.yaml}}
sink:
  delta:
    table: {table}
"""
SLIPS = {
    "another key is wrong": "security: {password: hunter2, mechansim: PLAIN}",
    "the key is misspelt": "security: {protocol: SASL_SSL, mechanism: PLAIN, pasword: hunter2}",
    "the key is misspelt in a block": "security:\n      passwrod: hunter2",
    "the key is short": "security:\n      psw: hunter2",
    "a blank is missing": "security: {protocol: SASL_SSL, password:hunter2}",
    "a blank is missing in a block": "security:\n      protocol: SSL\n      password:hunter2",
    "a blank is missing in all of it": "security:\n      password:hunter2",
    "a colon is missing": "security:\n      protocol: SSL\n      password hunter2\n      x: 1",
    "a colon is missing in braces": "security: {protocol: SSL, password hunter2}",
    "an equals sign": "security:\n      password=hunter2",
    "a raw setting with a key of its own": "properties:\n      sasl.password: hunter2",
    "an address in a raw setting": 'properties: {bootstrap.servers: "me:hunter2@kafka:9092"}',
    "quoted over two lines": 'security: {password: "a\nhunter2", x: 1}',
    "quoted over two indented lines": 'security: {password: "a\n   hunter2", x: 1}',
    "plain over two lines": "security: {password:\n          hunter2, x: 1}",
    "the quote is not closed": 'security:\n      password: "hunter2',
    "a block of text": "security:\n      password: |\n        a\n        hunter2\n      x: 1",
    "a block, and broken YAML": "security:\n      password: |\n        hunter2\n       y: [",
    "a list": "security:\n      password: [hunter2]",
    "a list in a block": "security:\n      password:\n      - hunter2",
    "keys and values": "security:\n      password: {hunter2: hunter2}",
    "keys and values in a block": "security:\n      password:\n        hunter2: hunter2",
    "an explicit key": "security:\n      ? password\n      : hunter2\n      x: 1",
    "an anchor": "security:\n      password: &hunter2 hunter2",
    "a tag": "security:\n      password: !!str hunter2",
    "a key twice": "security:\n      password: x\n      password: hunter2",
    "a default in a reference": 'security: {password: "${A:-hunter2} ${B}"}',
    "a tab": "security:\n\tpassword: hunter2",
    "a login in one text": 'properties: {sasl.jaas.config: "a b=\\"hunter2\\";", group.id: x}',
    "JSON": 'security: {"password":"hunter2","x":1}',
    "an escaped key": 'security: {"p\\u0061ssword":"hunter2","x":1}',
    "a comment": "security: {mechansim: PLAIN}  # password: hunter2",
    "a closed port of a proxy": 'properties: {group.id: "http://me:hunter2@proxy:8080"}',
}


def report(
    folder: Path,
    *,
    security: str = "",
    servers: str = '"kafka:9092"',
    table: str = "./lakehouse",
    environment: Mapping[str, str] | None = None,
    overrides: Mapping[str, str] | None = None,
) -> str:
    """What a person is told of the refused file, and what a trace would print."""
    (folder / "schema.yaml").write_text("version: 1\nname: o\nfields: [{name: a, type: int}]\n")
    path = folder / "pipeline.yaml"
    path.write_text(PIPELINE.format(security=security, servers=servers, table=table))
    with pytest.raises(InvalidConfiguration) as caught:
        load_pipeline(path, environment=environment or {}, overrides=overrides or {})
    trace = "".join(traceback.format_exception(caught.value))
    return f"{caught.value}\n{caught.value.problems!r}\n{trace}"


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_near_a_secret_does_not_show_it(tmp_path: Path, slip: str) -> None:
    """The line of an error is shown to a person, often in a chat or a build log."""
    assert SECRET not in report(tmp_path, security=SLIPS[slip])


@pytest.mark.parametrize(
    "servers",
    ['"me:hunter2@kafka"', '"SASL_SSL://me:hunter2@kafka:9092"', '"a:1, me:hun/hunter2@b:1"'],
)
def test_a_password_in_the_address_of_a_broker_is_not_shown(tmp_path: Path, servers: str) -> None:
    """Other systems write it there; the error that refuses it must not repeat it."""
    assert SECRET not in report(tmp_path, servers=servers)


@pytest.mark.parametrize(
    "table",
    [
        '"s3://me:hunter2@bucket/orders"',
        '"s3://me:hunter2@"',
        '{x: 1, storage: {endpoint: "http://me:hunter2@store:9000"}}',
        './x\n    storage: {endpoint: "http://me:hunter2@store:9000"}',
        './x\n    storage: {endpoint: "me:hunter2@store:9000"}',
        "./x\n    storage: {secret_access_key: hunter2}",
        "./x\n    storage: {options: {aws_secret_access_key: hunter2}}",
        './x\n    storage: {options: {endpoint: "https://me:hunter2@store"}}',
    ],
)
def test_a_secret_of_the_store_is_not_shown(tmp_path: Path, table: str) -> None:
    """The same for the object store and its raw options."""
    assert SECRET not in report(tmp_path, table=table)


@pytest.mark.parametrize(
    "overrides",
    [
        {"source.kafka.security.password": "hunter2"},
        {"source.kafka.security.pasword": "hunter2"},
        {"source.kafka.sekurity": "{password: hunter2}"},
        {"source.kafka.security": "{password: hunter2, x: 1}"},
        {"source.kafka.security": "{password: hunter2"},
        {"source.kafka.security.password.x": "hunter2"},
        {"source.kafka.bootstrap_servers": "me:hunter2@kafka"},
        {"source.kafka.properties.sasl.password": "hunter2"},
        {"login": "hunter2"},
    ],
)
def test_a_secret_in_a_flag_is_not_shown(tmp_path: Path, overrides: Mapping[str, str]) -> None:
    """A flag of which the key is wrong may hold anything, so its value is not repeated."""
    assert SECRET not in report(tmp_path, overrides=overrides)


@pytest.mark.parametrize(
    ("security", "environment"),
    [
        ('security: {password: "${A}"}', {"A": "hunter2"}),
        ('security: {password: "${A}"}', {"A": "hunter2\nx"}),
        ('security: {protocol: "${A}"}', {"A": "hunter2"}),
        ('start: "${A}"', {"A": "hunter2"}),
        ('properties: {group.id: "${A}"}', {"A": "hunter2"}),
        ('security: {password: "${A}"}', {"A_FILE": "hunter2"}),
        ('security: {password: "${A}"}', {"A": "hunter2", "A_FILE": "hunter2"}),
    ],
)
def test_the_value_of_a_variable_is_never_shown(
    tmp_path: Path, security: str, environment: Mapping[str, str]
) -> None:
    """Variables hold secrets; the report names the variable and its line, which is enough."""
    text = report(tmp_path, security=security, environment=environment)
    assert SECRET not in text
    assert "${A}" in text or " A " in text


def test_a_secret_read_from_a_file_is_not_shown(tmp_path: Path) -> None:
    """The advised way to give a secret, used in a place that takes something else."""
    (tmp_path / "secret").write_text("hunter2\n")
    assert SECRET not in report(tmp_path, security='start: "${file:secret}"')


def test_what_is_no_secret_is_shown_with_its_place(tmp_path: Path) -> None:
    """A report of stars would be as useless as one with secrets."""
    text = report(tmp_path, security='security: {password: "${PASSWORD}", protcol: SASL_SSL}')
    lines = text.splitlines()
    assert (
        f"{tmp_path}/pipeline.yaml:7:27  error    environment variable PASSWORD is not set" in lines
    )
    shown = '    7 |     security: {password: "${PASSWORD}", protcol: SASL_SSL}'
    assert shown in lines
    assert (
        '      |                                         ^^^^^^^  did you mean "protocol"?' in lines
    )
