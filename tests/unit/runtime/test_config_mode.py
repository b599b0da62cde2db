"""Which mode the default file runs in, by variables alone."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from stream_processor.runtime.config_mode import Mode, check_default_variables, default_mode
from stream_processor.runtime.config_problems import InvalidConfiguration

KAFKA = {"KAFKA_BOOTSTRAP_SERVERS": "k:9092", "KAFKA_TOPICS": "orders"}
KEYS = {"S3_ACCESS_KEY_ID": "a", "S3_SECRET_ACCESS_KEY": "b"}
BUCKET = {"LAKEHOUSE": "s3://lake/house"}


@pytest.mark.parametrize(
    ("environment", "mode"),
    [
        ({}, Mode.LOCAL),
        ({"PATH": "/bin"}, Mode.LOCAL),
        ({"KAFKA_TOPICS": "", "KAFKA_BOOTSTRAP_SERVERS": ""}, Mode.LOCAL),
        ({"LAKEHOUSE": "/data"}, Mode.LOCAL),
        ({**BUCKET, **KEYS}, Mode.LOCAL),
        ({"S3_ENDPOINT": "http://m:9000"}, Mode.LOCAL),
        (KAFKA, Mode.REAL),
        ({**KAFKA, **BUCKET, **KEYS}, Mode.REAL),
        ({"KAFKA_BOOTSTRAP_SERVERS_FILE": "/x", "KAFKA_TOPICS": "a"}, Mode.REAL),
        ({**KAFKA, "STREAM_PROCESSOR_PROFILE": "production"}, Mode.REAL),
        ({"STREAM_PROCESSOR_PROFILE": "development"}, Mode.LOCAL),
    ],
    ids=str,
)
def test_variables_decide_the_mode(environment: Mapping[str, str], mode: Mode) -> None:
    """A person who sets nothing gets the local mode; who names a Kafka gets that Kafka."""
    assert default_mode(environment) is mode


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"KAFKA_TOPICS": "orders"}, ["KAFKA_BOOTSTRAP_SERVERS"]),
        ({"KAFKA_BOOTSTRAP_SERVERS": "k:9092"}, ["KAFKA_TOPICS"]),
        ({**KAFKA, "KAFKA_TOPICS": ""}, ["KAFKA_TOPICS"]),
        (BUCKET, ["S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"]),
        ({**KAFKA, **BUCKET, "S3_ACCESS_KEY_ID": "a"}, ["S3_SECRET_ACCESS_KEY"]),
        ({"KAFKA_TOPICS": "a", **BUCKET}, ["KAFKA_BOOTSTRAP_SERVERS", *KEYS]),
        ({"STREAM_PROCESSOR_PROFILE": "production"}, ["KAFKA_BOOTSTRAP_SERVERS"]),
        (
            {"STREAM_PROCESSOR_PROFILE": "production", "LAKEHOUSE": "/data"},
            ["KAFKA_BOOTSTRAP_SERVERS"],
        ),
        ({**KAFKA, "STREAM_PROCESSOR_PROFILE": "prodution"}, ["STREAM_PROCESSOR_PROFILE"]),
    ],
    ids=str,
)
def test_a_missing_variable_is_named(environment: Mapping[str, str], named: list[str]) -> None:
    """The local mode is never a fall-back for a half-set environment."""
    with pytest.raises(InvalidConfiguration) as caught:
        default_mode(environment)
    assert [problem.message.split()[0] for problem in caught.value.problems] == named
    assert caught.value.exit_code == 2


def test_keys_of_a_store_that_is_not_used_are_a_warning() -> None:
    """Someone expects rows in a bucket, and would look there for hours."""
    (warning,) = check_default_variables({**KAFKA, **KEYS, "S3_REGION": "x"})
    assert warning.severity == "warning"
    assert "S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY, S3_REGION" in warning.message
    assert check_default_variables({**KAFKA, **KEYS, **BUCKET}) == ()
