"""`verify` names commits of ours that another engine wrote over."""

from __future__ import annotations

import json
from pathlib import Path

from deltalake import DeltaTable

from stream_processor.operations.verify import verify
from tests.letters import Letters, good


def test_a_commit_that_another_engine_wrote_over_is_found(tmp_path: Path) -> None:
    """Rows and offsets may add up all the same when the other copied them: the log tells."""
    made = Letters(tmp_path)
    for number in range(3):
        made.stream(good(number))
    folder = Path(made.tables.data)
    version = DeltaTable(str(folder)).version() - 1
    entry = folder / "_delta_log" / f"{version:020}.json"
    lines = [json.loads(line) for line in entry.read_text().splitlines()]
    for line in lines:
        if "commitInfo" in line:
            line["commitInfo"].pop("stream_processor", None)
            line["commitInfo"]["engineInfo"] = "Apache-Spark/3.5"
    entry.write_text("\n".join(map(json.dumps, lines)) + "\n")
    report = verify(made.tables)
    found = [each for each in report.findings if each.kind == "commit_overwritten"]
    assert [(each.count, each.examples) for each in found] == [(1, (version,))]
    assert found[0].sentence.startswith(
        "1 commits of this pipeline overwritten by Apache-Spark/3.5"
    )
    assert "1 commits of this pipeline overwritten" in report.conclusion
