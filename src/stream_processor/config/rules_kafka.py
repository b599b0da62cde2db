"""What makes a Kafka section readable but wrong. Facts: docs of librdkafka, and tries on it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from datetime import datetime

from stream_processor.config.findings import OWN_KEY, Finding, Rule
from stream_processor.config.pipeline import KafkaSource, Security

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_NOT_POSIX = re.compile(r"\\[dD]|\(\?|[*+?}][?+]")

_OURS = "the promise of exactly once depends on it, so the product sets it"
REFUSED_PROPERTIES: Mapping[str, str] = {
    "enable.auto.commit": _OURS,
    "auto.commit.enable": _OURS,
    "enable.auto.offset.store": _OURS,
    "offset.store.method": _OURS,
    "auto.offset.reset": _OURS,
    "isolation.level": _OURS,
    "enable.partition.eof": _OURS,
    "check.crcs": _OURS,
    "partition.assignment.strategy": _OURS,
    "group.protocol": _OURS,
    "allow.auto.create.topics": _OURS,
    "default.topic.config": "it takes a table, not text; its settings can be set directly",
    "topic.blacklist": "leave the topic out of topics or topics_regex instead",
    "group.id": OWN_KEY.format("group_id"),
    "bootstrap.servers": OWN_KEY.format("bootstrap_servers"),
    "metadata.broker.list": OWN_KEY.format("bootstrap_servers"),
    "security.protocol": OWN_KEY.format("security.protocol"),
    "sasl.mechanism": OWN_KEY.format("security.mechanism"),
    "sasl.mechanisms": OWN_KEY.format("security.mechanism"),
    "sasl.username": OWN_KEY.format("security.username"),
    "sasl.password": OWN_KEY.format("security.password"),
    "ssl.ca.location": OWN_KEY.format("security.ca_file"),
    "ssl.certificate.location": OWN_KEY.format("security.certificate_file"),
    "ssl.key.location": OWN_KEY.format("security.key_file"),
    "ssl.key.password": OWN_KEY.format("security.key_password"),
}
"""librdkafka properties that a file may not set, and why."""


def _subscription(kafka: KafkaSource) -> Iterator[Finding]:
    if kafka.topics and kafka.topics_regex is not None:
        yield Finding(("topics_regex",), "topics and topics_regex exclude each other", "keep one")
    if not kafka.topics and kafka.topics_regex is None:
        yield Finding(("topics",), "no topic is named", "set topics or topics_regex")


def _topics(kafka: KafkaSource) -> Iterator[Finding]:
    for topic in kafka.topics:
        if not _TOPIC.fullmatch(topic) or topic in {".", ".."}:
            hint = "letters, digits, '.', '_' and '-'; a pattern goes to topics_regex"
            yield Finding(("topics",), "not a name that Kafka allows for a topic", hint)
    if len(set(kafka.topics)) < len(kafka.topics):
        yield Finding(("topics",), "a topic is named twice")


def _regex(kafka: KafkaSource) -> Iterator[Finding]:
    regex = kafka.topics_regex
    if regex is None:
        return
    if not regex.startswith("^"):
        hint = "Kafka's client takes it for a topic name otherwise"
        yield Finding(("topics_regex",), "a pattern of topics must begin with ^", hint)
    if _NOT_POSIX.search(regex):
        # Tried: "^foo\\d+$" subscribes to the topic "food", since \d is the letter d in POSIX.
        hint = "Kafka's client reads POSIX patterns: write [0-9] for \\d, and no (?...) or *?"
        yield Finding(("topics_regex",), "the pattern is not a POSIX one", hint)
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # [[:digit:]] is right in POSIX
            re.compile(regex)
    except (re.error, OverflowError, RecursionError) as error:
        at = getattr(error, "pos", None)
        where = "" if at is None else f" near its character {at + 1}"
        yield Finding(("topics_regex",), f"the pattern is broken{where}")


def _start(kafka: KafkaSource) -> Iterator[Finding]:
    if kafka.start in {"earliest", "latest"}:
        return
    if _TIME.fullmatch(kafka.start):
        try:
            datetime.fromisoformat(kafka.start.upper())
        except ValueError:
            pass
        else:
            return
    hint = 'a time has an offset, like "2026-11-01T00:00:00Z"'
    yield Finding(("start",), "expected earliest, latest or an RFC 3339 time", hint)


def _servers(kafka: KafkaSource) -> Iterator[Finding]:
    for server in kafka.bootstrap_servers.split(","):
        host, colon, port = server.strip().rpartition(":")
        if "@" in server or "://" in server or not (host and colon and port.isdecimal()):
            hint = "a name and a password go to security"
            yield Finding(("bootstrap_servers",), "expected host:port, several with commas", hint)
            return


def _properties(kafka: KafkaSource) -> Iterator[Finding]:
    for name, value in kafka.properties.items():
        if name in REFUSED_PROPERTIES:
            message = "cannot be set"
            yield Finding(("properties", name), message, REFUSED_PROPERTIES[name])
        elif name.endswith("_cb") or name in {"logger", "on_commit"}:
            yield Finding(("properties", name), "takes code, not text")
        elif name == "enable.ssl.certificate.verification" and value == "false":
            message = "the brokers' certificates are not checked: anyone may answer in their place"
            yield Finding(("properties", name), message, severity="warning")


def _login(security: Security) -> Iterator[Finding]:
    sasl = security.protocol.startswith("SASL_")
    if sasl and security.mechanism is None:
        hint = "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"
        yield Finding((), f"protocol {security.protocol} needs a mechanism", hint)
    if not sasl and (security.mechanism or security.username or security.password):
        hint = "set protocol: SASL_SSL"
        yield Finding((), f"protocol {security.protocol} does not log in", hint)
    if sasl and security.mechanism not in {None, "OAUTHBEARER"}:
        for key in ("username", "password"):
            if getattr(security, key) is None:
                yield Finding((), f"mechanism {security.mechanism} needs a {key}")
    if security.protocol == "SASL_PLAINTEXT" and security.mechanism == "PLAIN":
        message = "the password travels unencrypted"
        yield Finding(("protocol",), message, "set protocol: SASL_SSL", "warning")


def _certificates(security: Security) -> Iterator[Finding]:
    if (security.certificate_file is None) != (security.key_file is None):
        yield Finding((), "certificate_file and key_file are needed together")
    if security.key_password is not None and security.key_file is None:
        yield Finding(("key_password",), "key_password without a key_file")
    files = ("ca_file", "certificate_file", "key_file")
    used = [key for key in files if getattr(security, key) is not None]
    if used and not security.protocol.endswith("SSL"):
        message = f"protocol {security.protocol} is not encrypted, so {used[0]} has no use"
        yield Finding((used[0],), message, "set protocol: SSL or SASL_SSL")


_KAFKA = ("source", "kafka")
_SECURITY = (*_KAFKA, "security")
KAFKA_RULES = (
    Rule(_KAFKA, KafkaSource, ("topics", "topics_regex"), _subscription),
    Rule(_KAFKA, KafkaSource, ("topics",), _topics),
    Rule(_KAFKA, KafkaSource, ("topics_regex",), _regex),
    Rule(_KAFKA, KafkaSource, ("start",), _start),
    Rule(_KAFKA, KafkaSource, ("bootstrap_servers",), _servers),
    Rule(_KAFKA, KafkaSource, ("properties",), _properties),
    Rule(_SECURITY, Security, ("protocol", "mechanism", "username", "password"), _login),
    Rule(
        _SECURITY,
        Security,
        ("protocol", "ca_file", "certificate_file", "key_file", "key_password"),
        _certificates,
    ),
)
