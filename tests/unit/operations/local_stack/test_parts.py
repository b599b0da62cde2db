"""Fetched parts are either complete and exactly the pinned ones, or not there."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from stream_processor.errors import Unavailable
from stream_processor.operations.local_stack import cache, kafka_parts

JAR = b"the content of the jar"


class Maven:
    """Serves one jar with what is left of `contents`, as jgo's context does; then it is offline."""

    def __init__(self, folder: Path, *contents: bytes) -> None:
        self.file = folder / "some.jar"
        self.contents = list(contents)

    def project(self, group: str, name: str) -> Maven:
        return self

    def at_version(self, version: str) -> Maven:
        return self

    def artifact(self) -> Maven:
        return self

    def resolve(self) -> Path:
        if not self.contents:
            raise OSError("no route to host")
        self.file.write_bytes(self.contents.pop(0))
        return self.file


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


def jar() -> kafka_parts.Jar:
    return kafka_parts.Jar("org.example", "some", "1.0", hashlib.sha256(JAR).hexdigest())


def download(maven: Maven, target: Path) -> None:
    kafka_parts._download(maven, target, lambda: None, jar())


def test_a_jar_with_another_hash_is_refused(tmp_path: Path, target: Path) -> None:
    """What is not exactly the pinned file must never be executed."""
    with pytest.raises(Unavailable, match="sha256 differs"):
        download(Maven(tmp_path, *[b"tampered"] * kafka_parts.ATTEMPTS_PER_JAR), target)
    assert list(target.iterdir()) == []


def test_a_truncated_jar_is_fetched_again(tmp_path: Path, target: Path) -> None:
    """A download that was interrupted leaves a short file, which the next run must not trust."""
    download(Maven(tmp_path, JAR[:5], JAR), target)
    assert (target / "some.jar").read_bytes() == JAR


def test_without_a_network_one_sentence_names_what_is_missing(tmp_path: Path, target: Path) -> None:
    """A person without a network must learn that the program is not broken."""
    with pytest.raises(Unavailable, match=r"Maven Central \(some-1.0.jar failed\)"):
        download(Maven(tmp_path), target)


def test_a_build_that_fails_leaves_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A half-built part under its final name would be used for ever."""
    monkeypatch.setenv("STREAM_PROCESSOR_CACHE", str(tmp_path / "cache"))

    def broken(folder: Path) -> None:
        (folder / "half").touch()
        raise Unavailable("no network")

    with pytest.raises(Unavailable):
        cache.cached_part("part", broken)
    part = cache.cached_part("part", lambda folder: (folder / "whole").touch())
    assert [file.name for file in part.iterdir()] == ["whole"]
    assert cache.cached_part("part", broken) == part


def test_the_lock_names_every_jar_with_its_hash_and_no_address() -> None:
    """An address in the lock would tie every user to one host."""
    jars = kafka_parts.locked_jars()
    assert {"kafka_2.13", "kafka-clients", "kafka-tools"} <= {jar.name for jar in jars}
    assert all(len(jar.sha256) == 64 for jar in jars)
    assert "://" not in kafka_parts.LOCK.read_text()
