"""Secrets and payloads are planted, everything goes wrong, and no output may show one of them."""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote

import pytest
import yaml
from confluent_kafka import Producer
from deltalake import DeltaTable

from stream_processor.config.pipeline import StorageConfig
from stream_processor.runtime.object_store import delta_storage_options, open_store
from tests.crash.world import OLD_SCHEMA, pipeline_dict, storage_dict, wait_until
from tests.stack import Kafka, MakeTopic, Minio
from tests.unit.cli.hostile import NASTY, assert_harmless

pytestmark = pytest.mark.stack

S3_SECRET = 'planted-s3/Secret+"1='
PASSWORD = "planted-Kafka'Password%2"
IN_ADDRESS = "planted-in-address-3"
IN_OPTION = "planted-token-in-option-4"
NOWHERE = "127.0.0.1:1"
READING = (("check", "--connect"), ("status",), ("verify", "--connect"), ("config", "show"))
ON_DEAD_LETTERS = (
    ("dlq list", "--verbose"),
    ("dlq stats", "--verbose"),
    ("dlq purge", "--before", "2100-01-01", "--include-open", "--verbose"),
    ("dlq replay", "--yes", "--verbose"),
)
"""Of the verbs of `dlq` those that show no payload, by intention."""
LOUDEST = ("--log-level", "debug", "--verbose")
VERB_SECONDS_MAX = 150


@dataclass(frozen=True)
class World:
    """A pipeline file that is right in everything; `broken` makes it wrong in one thing."""

    folder: Path
    pipeline: Mapping[str, Any]
    secrets: Mapping[str, str]

    def file(self, changes: Mapping[str, Any]) -> Path:
        """The file with these dotted keys replaced; secrets stand beside it, as in production."""
        pipeline = yaml.safe_load(yaml.safe_dump(dict(self.pipeline)))
        for path, value in changes.items():
            *parents, last = path.split(".")
            place = pipeline
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = value
        (self.folder / "orders.yaml").write_text(yaml.safe_dump(OLD_SCHEMA))
        for name, secret in self.secrets.items():
            (self.folder / name).write_text(secret)
        made = self.folder / "pipeline.yaml"
        made.write_text(yaml.safe_dump(pipeline))
        return made


@pytest.fixture
def world(kafka: Kafka, minio: Minio, topic: MakeTopic, bucket_url: str, tmp_path: Path) -> World:
    storage = storage_dict(minio)
    storage["secret_access_key"] = "${file:%s}" % (tmp_path / "s3_secret")
    made = pipeline_dict(kafka.bootstrap_servers, topic(), f"{bucket_url}/orders", storage)
    made["schema"] = {"file": "orders.yaml"}
    # Everything that librdkafka can say, which goes to our log.
    made["source"]["kafka"]["properties"] = {"debug": "all", "session.timeout.ms": "6000"}
    return World(tmp_path, made, {"s3_secret": minio.secret_key})


def start(file: Path, verb: Sequence[str]) -> subprocess.Popen[str]:
    """One verb as a person types it, with the libraries' own logs turned up."""
    name, *flags = verb
    command = [sys.executable, "-m", "stream_processor.main", *name.split()]
    if name.startswith("dlq"):
        command += [*flags, "--pipeline", str(file)]
    elif name == "config":
        command += [*flags, str(file)]
    else:
        command += [str(file), *flags]
    environment = {**os.environ, "RUST_LOG": "trace", "RUST_BACKTRACE": "full"}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="backslashreplace",
    )  # fmt: skip


def everything_said(file: Path, verbs: Sequence[Sequence[str]]) -> dict[str, tuple[int, str]]:
    """Exit code and output of each verb; they run side by side."""
    started = [(verb[0], start(file, verb)) for verb in verbs]
    said = {}
    for name, process in started:
        output, _ = process.communicate(timeout=VERB_SECONDS_MAX)
        said[name] = (process.returncode, output)
    return said


def assert_none_of(secrets: Sequence[str], text: str) -> None:
    """Neither as it is, nor as an address or a header would carry it."""
    for secret in secrets:
        forms = {secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode()}
        for form in forms:
            assert form not in text, f"{secret!r} in ...{_around(text, form)}..."


def _around(text: str, form: str) -> str:
    place = text.index(form)
    return text[max(0, place - 300) : place + 60]


WRONG: Mapping[str, Mapping[str, Any]] = {
    "the S3 secret is wrong": {"sink.delta.storage.secret_access_key": S3_SECRET},
    "the S3 token is wrong": {"sink.delta.storage.options": {"aws_session_token": IN_OPTION}},
    "the bucket is missing": {"sink.delta.table": "s3://no-such-bucket-anywhere/orders"},
    "the broker is away": {
        "source.kafka.bootstrap_servers": NOWHERE,
        "source.kafka.security": {
            "protocol": "SASL_PLAINTEXT",
            "mechanism": "PLAIN",
            "username": "reader",
            "password": PASSWORD,
        },
    },
}


@pytest.mark.parametrize("wrong", WRONG)
def test_no_verb_shows_a_secret_when_the_world_is_wrong(
    wrong: str, world: World, minio: Minio
) -> None:
    """Error texts of clients quote addresses, headers and settings; ours are read by many."""
    file = world.file(WRONG[wrong])
    verbs = [*READING, *ON_DEAD_LETTERS[2:], ("run", "--until", "latest", *LOUDEST)]
    said = everything_said(file, verbs)
    for name, (code, output) in said.items():
        assert_none_of([minio.secret_key, S3_SECRET, PASSWORD, IN_OPTION], output)
        assert_harmless(output)
        assert "Traceback" not in output, f"{name}: {output}"
        assert output.strip(), f"{name} says nothing"
        assert code == 0 or name != "config", output
    assert said["run"][0] == 3, said["run"]
    assert said["check"][0] == 1, said["check"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sink.delta.storage.endpoint", f"http://reader:{IN_ADDRESS}@127.0.0.1:9000"),
        ("sink.delta.table", f"s3://key:{IN_ADDRESS}@bucket/orders"),
        ("source.kafka.bootstrap_servers", f"reader:{IN_ADDRESS}@127.0.0.1:9092"),
        ("sink.delta.storage.secret_acess_key", IN_ADDRESS),
        ("source.kafka.properties", {"sasl.password": IN_ADDRESS}),
    ],
)
def test_a_secret_at_the_wrong_place_of_the_file_is_not_repeated(
    key: str, value: object, world: World
) -> None:
    """The message about a mistake shows the line, unless a secret stands in it."""
    file = world.file({key: value})
    verbs = [*READING, ("run", "--until", "latest", *LOUDEST)]
    for name, (_code, output) in everything_said(file, verbs).items():
        assert_none_of([IN_ADDRESS], output)
        assert "Traceback" not in output, f"{name}: {output}"


def test_a_password_that_nobody_asked_for_is_not_shown(world: World) -> None:
    """A client that logs in to a broker without logins gets strange answers, and reports them."""
    security = {
        "protocol": "SASL_PLAINTEXT",
        "mechanism": "SCRAM-SHA-256",
        "username": "reader",
        "password": PASSWORD,
    }
    file = world.file({"source.kafka.security": security})
    code, output = everything_said(file, [("check", "--connect", "--verbose")])["check"]
    assert code == 1, output
    assert_none_of([PASSWORD], output)


def test_neither_payloads_nor_secrets_are_logged_when_all_goes_well(
    world: World, kafka: Kafka, minio: Minio
) -> None:
    """Dead letters hold the bytes for those who may read the table; a log goes to everybody."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    topic = world.pipeline["source"]["kafka"]["topics"][0]
    marker, nasty = "payload-marker-7f3a", NASTY.encode()
    values = [
        b'{"id": "%s", "amount": "7"}' % marker.encode(),
        b'{"id": 1, "amount": "%s"}' % marker.encode(),
        b'{"id": 1, "amount": "7", "note": "%s"}' % marker.encode(),
        b'{"%s": 1, "id": %s' % (marker.encode(), marker.encode()),
        b"\xff" + marker.encode() + nasty,
        nasty + marker.encode(),
        b'{"id": ' + b"[" * 200 + marker.encode(),
        b'{"%s": "%s"}' % (nasty, nasty),
        None,
    ]
    for value in values:
        headers: dict[str, str | bytes | None] = {
            "name" + NASTY.replace("\x00", ""): marker.encode() + nasty
        }
        producer.produce(topic, value, marker.encode() + nasty, headers=headers)
    assert producer.flush(30) == 0
    file = world.file({})
    code, output = everything_said(file, [("run", "--until", "latest", *LOUDEST)])["run"]
    assert code == 0, output
    said = everything_said(file, [*READING, ("verify", "--json"), ("status", "--json")])
    for name, (verb_code, text) in {**said, "run": (code, output)}.items():
        assert verb_code == 0, f"{name}: {text}"
        assert_none_of([marker, minio.secret_key], text)
        assert_harmless(text)
    _assert_jobs_on_dead_letters_show_nothing(file, marker, minio)
    sampled = everything_said(file, [("check", "--sample", "100")])["check"][1]
    assert_harmless(sampled)
    assert_none_of([minio.secret_key], sampled)
    _assert_tables_hold_no_secret(world, minio)


def _assert_jobs_on_dead_letters_show_nothing(file: Path, marker: str, minio: Minio) -> None:
    """One after the other, as they take turns; what fails again is exit 1."""
    storage = StorageConfig.model_validate(storage_dict(minio))
    table = yaml.safe_load(file.read_text())["sink"]["delta"]["table"]
    letter = DeltaTable(
        f"{table}__dlq", storage_options=delta_storage_options(storage)
    ).to_pyarrow_table()
    names = ("topic", "partition", "offset")
    where = [f"--{name}={letter[name][0].as_py()}" for name in names]
    erase = ("dlq erase", *where, "--yes", "--verbose")
    ignore = ("dlq ignore", "--stage", "parse", "--note", "known", "--yes", "--verbose")
    purge = (*ON_DEAD_LETTERS[2], "--yes")
    for verb in (*ON_DEAD_LETTERS, erase, ignore, purge):
        code, text = everything_said(file, [verb])[verb[0]]
        assert code in (0, 1), f"{verb}: {text}"
        assert "a mistake of ours" not in text, f"{verb}: {text}"
        assert_none_of([marker, minio.secret_key], text)
        assert_harmless(text)


def _assert_tables_hold_no_secret(world: World, minio: Minio) -> None:
    storage = StorageConfig.model_validate(storage_dict(minio))
    for uri in (table := world.pipeline["sink"]["delta"]["table"], f"{table}__dlq"):
        store = open_store(uri, storage)
        keys = list(store.list(""))
        assert keys
        for key in keys:
            assert minio.secret_key.encode() not in store.get(key), key


def test_a_paused_pipeline_shows_no_secret_at_its_address(
    world: World, topic: MakeTopic, minio: Minio
) -> None:
    """The reason of a pause is shown to every probe."""
    file = world.file({**WRONG["the S3 secret is wrong"], "observability.listen": "127.0.0.1:0"})
    log = world.folder / "run.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "stream_processor.main", "run", str(file), "--wait", *LOUDEST],
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(lambda: '"event":"waiting"' in _compact(log), "it does not wait")
        found = re.search(r"127\.0\.0\.1:[1-9][0-9]+", _compact(log).partition("listening")[2])
        assert found is not None, log.read_text()
        for path in ("livez", "readyz", "metrics"):
            assert_none_of([S3_SECRET, minio.secret_key], _get(f"http://{found[0]}/{path}"))
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.wait()
    assert_none_of([S3_SECRET, minio.secret_key], log.read_text())
    assert process.returncode == 0, log.read_text()


def _compact(log: Path) -> str:
    return log.read_text().replace('": ', '":')


def _get(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return str(answer.read().decode())
    except HTTPError as error:
        return error.read().decode()
