"""What is left of an erased event in the log goes with maintenance, and `dlq erase` may say so."""

from __future__ import annotations

import threading
from pathlib import Path

from deltalake import DeltaTable

from stream_processor.operations.dlq import erase_proof
from stream_processor.operations.dlq.erase import erase, plan_erase
from stream_processor.operations.dlq.erase_identity import EraseRequest
from stream_processor.operations.dlq.keepers import keepers_of
from stream_processor.operations.dlq.replay_request import Doer, Surroundings
from tests.letters import good
from tests.unit.operations.maintain.world import Later, Tended


def test_statistics_of_an_erased_row_go_with_the_log(tmp_path: Path) -> None:
    """The promise that `dlq erase --wait-vacuum` makes: nothing is left after the retention."""
    world = Tended(tmp_path)
    world.stream(good(0), good(1, order_id="ZZZ-erika.mustermann@example.com"))
    world.busy(1)
    around = Surroundings(Doer("r-1", "tester"), Later(), threading.Event())
    keepers = keepers_of(world.loaded(), "r-1")
    request = EraseRequest("orders", 0, 1)
    identity = plan_erase(keepers, request).identity
    needles = erase_proof.needles_for(keepers, identity)
    erase(keepers, request, around)
    soon = {"delta.deletedFileRetentionDuration": "interval 0 seconds"}
    DeltaTable(world.tables.data).alter.set_table_properties(soon)
    world.maintain()
    early = erase_proof.prove(keepers, identity, needles, around)
    assert early is not None
    assert early.only_statistics
    world.maintain(days=1)  # the table is at rest, so it gets a checkpoint
    world.maintain(days=32)
    late = erase_proof.prove(keepers, identity, needles, around)
    assert late is not None
    assert late.gone, late.left
    world.prove()
