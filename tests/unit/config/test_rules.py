"""Settings that are well formed and wrong: each is refused for its reason."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from stream_processor.config.findings import Finding, Rule
from stream_processor.config.pipeline import Pipeline
from stream_processor.config.rules import RULES
from stream_processor.config.rules_kafka import REFUSED_PROPERTIES


def pipeline(*changes: tuple[str, Any]) -> dict[str, Any]:
    """A right pipeline with some keys set, by dotted path (`:` before a raw setting's name)."""
    document: dict[str, Any] = {
        "version": 1,
        "name": "orders",
        "source": {"kafka": {"bootstrap_servers": "k:9092", "topics": ("orders",)}},
        "schema": {"file": "s.yaml"},
        "sink": {"delta": {"table": "s3://lake/orders"}},
    }
    for path, value in changes:
        dotted, _, raw = path.partition(":")
        *sections, key = [*dotted.split("."), *([raw] if raw else [])]
        section = document
        for name in sections:
            section = section.setdefault(name, {})
        section[key] = value
    return document


def findings(document: dict[str, Any]) -> list[Finding]:
    whole = Pipeline.model_validate(document)
    return [finding for rule in RULES for finding in check(whole, rule)]


def check(whole: Pipeline, rule: Rule) -> Iterable[Finding]:
    section: Any = whole
    for key in rule.section:
        section = getattr(section, key)
    return rule.check(section) if isinstance(section, rule.model) else ()


KAFKA, SECURITY, DELTA = "source.kafka", "source.kafka.security", "sink.delta"
STORAGE = "sink.delta.storage"
SASL = (f"{SECURITY}.protocol", "SASL_SSL")
SCRAM = (f"{SECURITY}.mechanism", "SCRAM-SHA-512")
LOGIN = ((f"{SECURITY}.username", "u"), (f"{SECURITY}.password", "p"))


@pytest.mark.parametrize(
    "changes",
    [
        [],
        [(f"{KAFKA}.topics", ()), (f"{KAFKA}.topics_regex", "^shop[.](a|b)[0-9]+$")],
        [(f"{KAFKA}.topics", ()), (f"{KAFKA}.topics_regex", "^a[[:digit:]]{1,3}$")],
        [(f"{KAFKA}.start", "latest")],
        [(f"{KAFKA}.start", "2026-11-01T00:00:00Z")],
        [(f"{KAFKA}.start", "2026-11-01 00:00:00.5+02:00")],
        [(f"{KAFKA}.bootstrap_servers", "a:1, b.example:2,[::1]:9092")],
        [SASL, SCRAM, *LOGIN],
        [SASL, (f"{SECURITY}.mechanism", "OAUTHBEARER")],
        [(f"{SECURITY}.protocol", "SSL"), (f"{SECURITY}.ca_file", "ca.pem")],
        [(f"{KAFKA}.properties:session.timeout.ms", "6000")],
        [(f"{DELTA}.table", "./lakehouse/orders")],
        [(f"{DELTA}.table", "s3://lake/a/b_c=1")],
        [(f"{DELTA}.properties:delta.logRetentionDuration", "interval 24 hours")],
        [(f"{DELTA}.properties:delta.enableExpiredLogCleanup", "false")],
        [(f"{STORAGE}.endpoint", "http://127.0.0.1:9000")],
        [(f"{STORAGE}.options:aws_conditional_put", "etag")],
        [(f"{STORAGE}.options:aws_session_token", "x")],
        [("dlq.table", "s3://other/dead")],
        [("name", "Orders of the shop"), ("id", "orders")],
        [("observability.listen", "[::1]:0")],
    ],
    ids=str,
)
def test_what_is_right_is_left_alone(changes: list[tuple[str, Any]]) -> None:
    """A check that cries wolf is switched off."""
    assert findings(pipeline(*changes)) == []


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ([(f"{KAFKA}.topics", ())], "topics"),
        ([(f"{KAFKA}.topics_regex", "^a")], "topics_regex"),
        ([(f"{KAFKA}.topics", ("a b",))], "topics"),
        ([(f"{KAFKA}.topics", ("^a",))], "topics"),
        ([(f"{KAFKA}.topics", ("a", "a"))], "topics"),
        ([(f"{KAFKA}.topics", ()), (f"{KAFKA}.topics_regex", "shop")], "topics_regex"),
        ([(f"{KAFKA}.topics", ()), (f"{KAFKA}.topics_regex", r"^a\d")], "topics_regex"),
        ([(f"{KAFKA}.topics", ()), (f"{KAFKA}.topics_regex", "^a(?=b)")], "topics_regex"),
        ([(f"{KAFKA}.topics", ()), (f"{KAFKA}.topics_regex", "^a(")], "topics_regex"),
        ([(f"{KAFKA}.start", "now")], "start"),
        ([(f"{KAFKA}.start", "2026-11-01T00:00:00")], "start"),
        ([(f"{KAFKA}.start", "2026-13-01T00:00:00Z")], "start"),
        ([(f"{KAFKA}.bootstrap_servers", "localhost")], "bootstrap_servers"),
        ([(f"{KAFKA}.bootstrap_servers", "u:p@k:9092")], "bootstrap_servers"),
        ([(f"{KAFKA}.properties:error_cb", "f")], "error_cb"),
        ([SASL], ""),
        ([SCRAM], ""),
        ([SASL, SCRAM, LOGIN[0]], ""),
        ([SASL, SCRAM, LOGIN[1]], ""),
        ([(f"{SECURITY}.protocol", "SSL"), (f"{SECURITY}.key_file", "k")], ""),
        ([(f"{SECURITY}.protocol", "SSL"), (f"{SECURITY}.key_password", "k")], "key_password"),
        ([(f"{SECURITY}.ca_file", "ca.pem")], "ca_file"),
        ([(f"{DELTA}.table", "s3://lake")], "table"),
        ([(f"{DELTA}.table", "s3://key:secret@lake/x")], "table"),
        ([(f"{DELTA}.table", "gs://lake/x")], "table"),
        ([("dlq.table", "s3a://lake/x")], "table"),
        ([("dlq.table", "s3://lake/orders")], "table"),
        ([("dlq.table", "s3://lake/orders/dead")], "table"),
        ([("dlq.table", "s3://Lake/x")], "table"),
        (
            [(f"{DELTA}.properties:delta.setTransactionRetentionDuration", "interval 1 day")],
            "delta.setTransactionRetentionDuration",
        ),
        (
            [(f"{DELTA}.properties:delta.logRetentionDuration", "interval 23 hours")],
            "delta.logRetentionDuration",
        ),
        (
            [(f"{DELTA}.properties:delta.logRetentionDuration", "soon")],
            "delta.logRetentionDuration",
        ),
        (
            [(f"{DELTA}.properties:delta.enableExpiredLogCleanup", "true")],
            "delta.enableExpiredLogCleanup",
        ),
        ([(f"{DELTA}.properties:stream_processor.pipeline", "x")], "stream_processor.pipeline"),
        ([(f"{STORAGE}.access_key_id", "a")], ""),
        ([(f"{STORAGE}.secret_access_key", "a")], ""),
        ([(f"{STORAGE}.endpoint", "minio:9000")], "endpoint"),
        ([(f"{STORAGE}.endpoint", "https://a:b@minio")], "endpoint"),
        ([(f"{STORAGE}.endpoint", "http://[::1")], "endpoint"),
        ([(f"{STORAGE}.endpoint", "http://m"), (f"{STORAGE}.allow_http", False)], "allow_http"),
        ([(f"{STORAGE}.options:conditional_put", "disabled")], "conditional_put"),
        ([(f"{STORAGE}.options:AWS_CONDITIONAL_PUT", "Disabled")], "AWS_CONDITIONAL_PUT"),
        (
            [(f"{STORAGE}.options:AWS_S3_ALLOW_UNSAFE_RENAME", "true")],
            "AWS_S3_ALLOW_UNSAFE_RENAME",
        ),
        ([(f"{STORAGE}.options:aws_secret_access_key", "x")], "aws_secret_access_key"),
        ([("name", "orders of the shop")], "name"),
        ([("max_record_bytes", "200MiB")], "max_record_bytes"),
        ([("max_record_bytes", "0B")], "max_record_bytes"),
        ([(f"{DELTA}.commit.max_bytes", "1GiB")], "max_bytes"),
        ([(f"{DELTA}.commit.every", "0s")], "every"),
        ([("engine.drain_timeout", "2h")], "drain_timeout"),
        ([("observability.listen", "7070")], "listen"),
        ([("observability.listen", "a:99999")], "listen"),
    ],
    ids=str,
)
def test_what_is_wrong_is_found_once(changes: list[tuple[str, Any]], key: str) -> None:
    """Each of these starts well, and loses or doubles events, or fails, much later."""
    (finding,) = findings(pipeline(*changes))
    assert finding.severity == "error"
    assert (str(finding.path[-1]) if finding.path else "") == key
    assert finding.message


@pytest.mark.parametrize("name", sorted(REFUSED_PROPERTIES))
def test_what_exactly_once_depends_on_cannot_be_set(name: str) -> None:
    """Whatever the value: the product has chosen one, and the proof rests on it."""
    (finding,) = findings(pipeline((f"{KAFKA}.properties:{name}", "anything")))
    assert finding.path == ("properties", name)
    assert finding.hint


@pytest.mark.parametrize(
    "changes",
    [
        [(f"{KAFKA}.properties:enable.ssl.certificate.verification", "false")],
        [
            (f"{SECURITY}.protocol", "SASL_PLAINTEXT"),
            (f"{SECURITY}.mechanism", "PLAIN"),
            *LOGIN,
        ],
        [
            (f"{DELTA}.table", "./t"),
            (f"{STORAGE}.access_key_id", "a"),
            (f"{STORAGE}.secret_access_key", "b"),
        ],
    ],
    ids=str,
)
def test_what_is_only_unwise_is_a_warning(changes: list[tuple[str, Any]]) -> None:
    """A person may have a reason; they must not be able to overlook it."""
    (finding,) = findings(pipeline(*changes))
    assert finding.severity == "warning"
