"""librdkafka's error codes, sorted by what they mean to the pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto

from confluent_kafka import KafkaError, KafkaException

from stream_processor.errors import (
    BrokerUnavailable,
    ConfigurationError,
    CredentialsRejected,
    TopicMissing,
    Unavailable,
)

_DETAIL_MAX = 300


class Meaning(Enum):
    """What one error code asks of us."""

    END_OF_PARTITION = auto()
    OUT_OF_RANGE = auto()  # Kafka does not hold our offset: retention passed us, or truncation
    UNREADABLE = auto()  # this batch cannot be fetched or unpacked
    NO_TOPIC = auto()
    REJECTED = auto()  # credentials or rights
    AWAY = auto()  # no contact: wait, and say so only when it lasts
    DUPLICATE_MEMBER = auto()  # another process uses our group.instance.id
    PASSING = auto()  # librdkafka mends it by itself


_MEANINGS = {
    Meaning.END_OF_PARTITION: ("_PARTITION_EOF",),
    Meaning.OUT_OF_RANGE: ("_AUTO_OFFSET_RESET", "OFFSET_OUT_OF_RANGE", "_LOG_TRUNCATION"),
    Meaning.UNREADABLE: (
        "_BAD_COMPRESSION",
        "_BAD_MSG",
        "_UNSUPPORTED_FEATURE",
        "INVALID_MSG",
        "INVALID_MSG_SIZE",
        "MSG_SIZE_TOO_LARGE",
    ),
    Meaning.NO_TOPIC: ("UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION"),
    Meaning.REJECTED: (
        "_AUTHENTICATION",
        "SASL_AUTHENTICATION_FAILED",
        "UNSUPPORTED_SASL_MECHANISM",
        "ILLEGAL_SASL_STATE",
        "TOPIC_AUTHORIZATION_FAILED",
        "GROUP_AUTHORIZATION_FAILED",
        "CLUSTER_AUTHORIZATION_FAILED",
    ),
    Meaning.AWAY: (
        "_ALL_BROKERS_DOWN",
        "_TRANSPORT",
        "_RESOLVE",
        "_SSL",
        "_TIMED_OUT",
        "_TIMED_OUT_QUEUE",
        "REQUEST_TIMED_OUT",
    ),
    Meaning.DUPLICATE_MEMBER: ("FENCED_INSTANCE_ID", "UNRELEASED_INSTANCE_ID"),
}
_BY_CODE = {
    getattr(KafkaError, name): meaning for meaning, names in _MEANINGS.items() for name in names
}


def meaning(error: KafkaError) -> Meaning:
    """Sort one error; a code that is not listed is one that librdkafka mends by itself."""
    return _BY_CODE.get(error.code(), Meaning.PASSING)


def is_too_large(error: KafkaError) -> bool:
    """Whether one record is too large to be fetched; the event that tells it names its offset."""
    return error.code() == KafkaError.MSG_SIZE_TOO_LARGE


def is_oversized(error: KafkaError) -> bool:
    """Whether a broker's answer was larger than the client may receive; it names no partition.

    Only the words tell: the code is that of every answer that makes no sense.
    """
    bad_message = error.code() == KafkaError._BAD_MSG  # noqa: SLF001 - its public name
    return bad_message and "receive.message.max.bytes" in error.str()


def detail(error: KafkaError) -> str:
    """The client's own words in one bounded, printable line. They name brokers, never payloads."""
    words = "".join(char if char.isprintable() else " " for char in error.str())
    return f"{error.name()}: {words[:_DETAIL_MAX]}"


def as_ours(error: KafkaError, doing: str) -> Unavailable | ConfigurationError:
    """The error of our tree for a request that failed. `doing` completes "Kafka failed to ..."."""
    sense = meaning(error)
    if sense is Meaning.REJECTED:
        return CredentialsRejected(
            f"Kafka rejects us ({detail(error)}) when asked to {doing}",
            hint="check source.kafka.security and the rights of the user on topics and group",
        )
    if sense is Meaning.NO_TOPIC:
        return TopicMissing(
            f"Kafka does not know the topic ({detail(error)}) when asked to {doing}",
            hint="create the topic, or correct source.kafka.topics",
        )
    if sense is Meaning.DUPLICATE_MEMBER:
        return ConfigurationError(
            f"another process uses the same group.instance.id ({detail(error)})",
            hint="give every process its own group.instance.id",
        )
    return BrokerUnavailable(
        f"Kafka failed to {doing} ({detail(error)})",
        hint="check source.kafka.bootstrap_servers and that the brokers run",
    )


@contextmanager
def settings_refused() -> Iterator[None]:
    """Around the making of a client: it judges names and values of its settings, and reads files.

    Raises `ConfigurationError` with the client's own words, which name the setting.
    """
    try:
        yield
    except KafkaException as error:
        raise ConfigurationError(
            f"the Kafka client refuses its settings ({detail(error.args[0])})",
            hint="correct source.kafka.properties or source.kafka.security",
        ) from error
