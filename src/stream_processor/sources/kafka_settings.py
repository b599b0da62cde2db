"""What the Kafka source is told, and the librdkafka properties that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from stream_processor.config.pipeline import KafkaSource as KafkaConfig
from stream_processor.config.pipeline import Security

_MIB = 2**20

# The exactly-once argument rests on these; the loader refuses files that set them (config.rules).
_FIXED = {
    "partition.assignment.strategy": "cooperative-sticky",
    "enable.auto.commit": "false",
    "enable.auto.offset.store": "false",
    "auto.offset.reset": "error",
    "check.crcs": "true",
    "isolation.level": "read_committed",
    "enable.partition.eof": "true",
    "allow.auto.create.topics": "false",
}


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """Made by the composition root from the pipeline file.

    `memory_bytes` bounds what librdkafka may hold for us: a quarter of it fetched events that wait,
    and all of it for the one batch that is being unpacked. `contact_seconds` is how long Kafka may
    be silent before it counts as away. `stuck_retry_seconds` is the first wait before a partition
    that cannot be read is tried again. `accept_gap` is a person's decision on the command line.
    """

    kafka: KafkaConfig
    group_id: str
    memory_bytes: int = 128 * _MIB
    contact_seconds: float = 30.0
    request_seconds: float = 10.0
    stuck_retry_seconds: float = 30.0
    accept_gap: bool = False

    @property
    def subscription(self) -> list[str]:
        """What to subscribe to; librdkafka takes a name that begins with `^` as a regex."""
        regex = self.kafka.topics_regex
        return [*self.kafka.topics, *([] if regex is None else [regex])]

    def start_timestamp_ms(self) -> int | None:
        """The start policy as a Kafka timestamp; None for earliest and latest."""
        if self.kafka.start in {"earliest", "latest"}:
            return None
        return int(datetime.fromisoformat(self.kafka.start.upper()).timestamp() * 1000)


def client_properties(settings: KafkaSettings) -> dict[str, str]:
    """How every client of ours reaches the brokers: addresses, security, the file's own wishes."""
    return {
        "bootstrap.servers": settings.kafka.bootstrap_servers,
        "client.id": "stream-processor",
        **_security(settings.kafka.security),
        **settings.kafka.properties,
    }


def consumer_properties(settings: KafkaSettings) -> dict[str, str]:
    """The consumer's properties; sizes follow from the memory budget, raw properties win."""
    fetch_max = max(_MIB, min(50 * _MIB, settings.memory_bytes // 4))
    sizes = {
        # Half of the half that is ours: for events of a few hundred bytes the client needs as much
        # again for its own bookkeeping, which it does not count.
        "queued.max.messages.kbytes": str(
            max(1024, min(64 * _MIB, settings.memory_bytes // 4) // 1024)
        ),
        "fetch.max.bytes": str(fetch_max),
        "message.max.bytes": str(min(fetch_max, _MIB)),
        "max.partition.fetch.bytes": str(min(fetch_max, _MIB // 2)),
        # Only a bound, nothing is allocated for it: a batch that unpacks to more than this can
        # never be read (librdkafka #5260), so it is as large as the budget from the start.
        "receive.message.max.bytes": str(
            max(fetch_max + 1024, min(settings.memory_bytes, 1_000_000_000))
        ),
        # The default of a second starves us whenever the queue was full for a moment.
        "fetch.queue.backoff.ms": "20",
        "topic.metadata.refresh.interval.ms": "30000",
    }
    return {
        **sizes,
        **client_properties(settings),
        **_FIXED,
        "group.id": settings.group_id,
    }


def admin_properties(settings: KafkaSettings) -> dict[str, str]:
    """The admin client's: consumer-only properties would be refused or warned about."""
    return {
        name: value
        for name, value in client_properties(settings).items()
        if not name.startswith(("group.", "fetch.", "queued.", "session.", "max.poll."))
    }


def _security(security: Security) -> dict[str, str]:
    wanted = {
        "security.protocol": security.protocol,
        "sasl.mechanism": security.mechanism,
        "sasl.username": security.username,
        "sasl.password": security.password.get_secret_value() if security.password else None,
        "ssl.ca.location": security.ca_file,
        "ssl.certificate.location": security.certificate_file,
        "ssl.key.location": security.key_file,
        "ssl.key.password": (
            security.key_password.get_secret_value() if security.key_password else None
        ),
    }
    return {name: value for name, value in wanted.items() if value is not None}
