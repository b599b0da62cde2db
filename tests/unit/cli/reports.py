"""Reports as the operations give them, with numbers that stay."""

from __future__ import annotations

from stream_processor.operations.status import (
    CommitStatus,
    DeadLetterCount,
    PartitionStatus,
    StatusReport,
    TableStatus,
)
from stream_processor.operations.verify_report import Finding, PartitionReport, VerifyReport


def partition_report(topic: str = "orders", partition: int = 0, **numbers: int) -> PartitionReport:
    """49,506 rows and 494 dead letters of 50,000 offsets, unless told otherwise."""
    given = {
        "start": 0, "upto": 50_000, "rows": 49_506, "dead_letters": 494, "replayed": 0,
        "ledger": 0, "skipped": 0, "holes": 0, "expired": 0, "pending": 0, "lost": 0, "double": 0,
    } | numbers  # fmt: skip  # one number per line would be a screen
    return PartitionReport(topic=topic, topic_id="id", partition=partition, **given)


def verify_report(topic: str = "orders", findings: tuple[Finding, ...] = ()) -> VerifyReport:
    """Two partitions; findings are up to the test."""
    lost = sum(finding.count for finding in findings if finding.kind == "lost")
    parts = (
        partition_report(topic, 0),
        partition_report(topic, 1, rows=49_506 - lost, lost=lost),
    )
    return VerifyReport("orders", 12, 11, parts, findings)


def status_report(text: str = "orders", engine: str = "somebody (MERGE)") -> StatusReport:
    """Two partitions of which one is behind, two commits, two kinds of dead letters."""
    return StatusReport(
        pipeline=text,
        data=TableStatus(f"s3://lake/{text}", 18_432, text, 128, 41_200_000, 99_012, 120, 900),
        dead_letter_table=TableStatus(f"s3://lake/{text}__dlq", 97, text, 12, 801_000, 988, 12, 98),
        partitions=(
            PartitionStatus(text, "id", 0, 50_000, 50_012, 12, waiting=False, superseded=False),
            PartitionStatus(text, "id", 1, 50_000, None, None, waiting=True, superseded=False),
        ),
        commits=(
            CommitStatus(18_432, "2026-11-24T10:05:00.120Z", "WRITE", "x", 18_204, 3, 0.412),
            CommitStatus(18_431, "2026-11-24T10:04:50.007Z", "WRITE", "x", 17_951, 0, None),
        ),
        dead_letters=(
            DeadLetterCount("validate", "field.type", 980, open=40, replayed=930, ignored=10),
            DeadLetterCount("parse", text, 8, open=8),
        ),
        foreign_writers=(engine,),
    )
