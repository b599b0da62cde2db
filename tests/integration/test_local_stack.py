"""The local stack is what the demo and every other integration test stand on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Callable
from pathlib import Path

import obstore
import pytest
from confluent_kafka import TopicCollection
from confluent_kafka.admin import AdminClient
from obstore.store import S3Store

from stream_processor.errors import BrokerUnavailable, Unavailable
from stream_processor.operations.local_stack import RunningKafka, RunningMinio, create_bucket
from stream_processor.operations.local_stack.process import is_free, wait_until
from stream_processor.sources.kafka_admin import create_topic, delete_topic, topic_exists
from tests.stack import Kafka, MakeTopic

pytestmark = pytest.mark.stack
TOPICS = 40
OwnKafka = Callable[..., RunningKafka]
OwnMinio = Callable[..., RunningMinio]


def store(minio: RunningMinio, bucket: str) -> S3Store:
    return S3Store(
        bucket,
        endpoint=minio.endpoint,
        access_key_id=minio.access_key,
        secret_access_key=minio.secret_key,
        region="us-east-1",
        client_options={"allow_http": True},
    )


def test_topics_are_made_found_and_deleted(kafka: Kafka, topic: MakeTopic) -> None:
    """Tests of recreated topics delete and make them again under one name."""
    name = topic(partitions=3)
    assert topic_exists(kafka.bootstrap_servers, name)
    create_topic(kafka.bootstrap_servers, name, 3)
    delete_topic(kafka.bootstrap_servers, name)
    assert not topic_exists(kafka.bootstrap_servers, name)


def test_a_killed_kafka_comes_back_with_its_topics(own_kafka: OwnKafka, tmp_path: Path) -> None:
    """A second run of the demo continues, even when the first one was killed."""
    first = own_kafka(data_dir=tmp_path / "any folder näm€d 𝄞 by a person")
    create_topic(first.bootstrap_servers, "kept", 2)
    first.kill()
    second = own_kafka(data_dir=first.data_dir, port=first.port)
    assert second.port == first.port
    assert topic_exists(second.bootstrap_servers, "kept")


def test_kafka_moves_to_another_port_when_its_own_is_taken(own_kafka: OwnKafka) -> None:
    """What else runs on a person's machine must not stop the demo from continuing."""
    first = own_kafka()
    create_topic(first.bootstrap_servers, "kept", 1)
    first.stop()
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", first.port))
        squatter.listen()
        with pytest.raises(BrokerUnavailable, match="in use"):
            own_kafka(data_dir=first.data_dir, port=first.port)
        second = own_kafka(data_dir=first.data_dir)
    assert second.port != first.port
    assert topic_exists(second.bootstrap_servers, "kept")


def test_a_killed_minio_comes_back_with_its_buckets_and_keys(own_minio: OwnMinio) -> None:
    """Outage tests kill the store and expect everything that it acknowledged."""
    first = own_minio()
    create_bucket(first.endpoint, first.credentials, "lakehouse")
    create_bucket(first.endpoint, first.credentials, "lakehouse")
    obstore.put(store(first, "lakehouse"), "a/b", b"kept")
    first.kill()
    second = own_minio(data_dir=first.data_dir, port=first.port)
    assert second.access_key == first.access_key
    assert bytes(obstore.get(store(second, "lakehouse"), "a/b").bytes()) == b"kept"


def test_a_second_server_on_one_folder_is_refused(own_minio: OwnMinio) -> None:
    """Two demos in one folder would write over each other's files."""
    first = own_minio()
    with pytest.raises(Unavailable, match=r"running on .* already"):
        own_minio(data_dir=first.data_dir)
    assert first.process.is_running()


def test_no_secret_is_shown_and_the_key_file_is_private(own_minio: OwnMinio) -> None:
    """A repr ends in logs, and home folders are often readable by others."""
    minio = own_minio()
    assert minio.secret_key not in repr(minio)
    assert minio.secret_key not in (minio.data_dir / "log").read_text()
    assert (minio.data_dir / "credentials.json").stat().st_mode & 0o077 == 0


def test_a_suspended_server_can_still_be_stopped(own_minio: OwnMinio) -> None:
    """A test that fails while the server is suspended must not leave it behind."""
    minio = own_minio()
    minio.process.suspend()
    minio.stop()
    assert not minio.process.is_running()
    assert is_free(minio.port)


def test_a_server_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """After kill -9 of the demo or of a test run nothing may be left running."""
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from stream_processor.operations.local_stack import start_minio
        minio = start_minio(Path(sys.argv[1]))
        print(minio.port, flush=True)
        sys.stdin.read()
    """)
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        port = int(parent.stdout.readline())
        assert not is_free(port)
        os.kill(parent.pid, signal.SIGKILL)
    assert wait_until(lambda: is_free(port), 10)


def test_up_leaves_both_running_and_down_stops_exactly_those(tmp_path: Path) -> None:
    """`make up` is how a person tries the job on a real Kafka and a real MinIO."""
    command = [sys.executable, "-m", "stream_processor.operations.local_stack"]

    def say(verb: str) -> str:
        return subprocess.check_output([*command, verb], cwd=tmp_path, text=True)

    try:
        said = say("up")
        assert "source .stack/env" in said
        assert "running already" in say("up")
        env = tmp_path / ".stack" / "env"
        assert env.stat().st_mode & 0o777 == 0o600
        shell = ["sh", "-c", ". .stack/env; echo $KAFKA_BOOTSTRAP_SERVERS $S3_SECRET_ACCESS_KEY"]
        bootstrap, secret = subprocess.check_output(shell, cwd=tmp_path, text=True).split()
        assert topic_exists(bootstrap, "orders")
        assert secret not in said
    finally:
        assert say("down") == "Stopped: kafka, minio\n"
    assert is_free(int(bootstrap.partition(":")[2]))
    assert not env.exists()


def test_a_topic_that_was_made_is_there_for_everyone(kafka: Kafka) -> None:
    """Who makes a topic and reads it at once must not be told that there is none."""
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    for _ in range(TOPICS):
        name = f"made-{uuid.uuid4().hex[:12]}"
        create_topic(kafka.bootstrap_servers, name, 2)
        described = admin.describe_topics(TopicCollection([name]))
        partitions = described[name].result(30).partitions
        assert [each.leader is not None for each in partitions] == [True, True]
