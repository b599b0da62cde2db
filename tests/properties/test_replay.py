"""Replaying any subset, in any order, any number of times, gives the table of right rules."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream_processor.errors import StreamProcessorError
from stream_processor.operations.dlq.selection import Selector
from tests.kill_points import Died, dies_at
from tests.replays import ANY, RIGHT, Replays, event

_AMOUNTS = st.sampled_from(["7", "8", "7 EUR", "é\u202e", 'x"]\n', 12, 1.50, True, None, [], {}])
_VALUES = st.one_of(
    st.builds(event, st.integers(-(2**70), 2**70) | st.just("9"), _AMOUNTS),
    st.builds(event, st.integers(0, 99), _AMOUNTS),
    st.sampled_from(
        [None, b"", b"{", b"[]", b"\x00\x00\x00\x00\x07{}", b"\xff", b'{"id":1,"id":2}']
    ),
)
_BATCHES = st.lists(st.lists(_VALUES, min_size=1, max_size=6), min_size=1, max_size=3)
_RANGE = st.tuples(st.integers(0, 18), st.integers(0, 18)).map(lambda ends: tuple(sorted(ends)))
_ACTIONS = st.lists(
    st.fixed_dictionaries(
        {
            "offsets": _RANGE,
            "status": st.sampled_from(["open", "replayed", None]),
            "limit": st.none() | st.integers(1, 3),
            "on_fail": st.sampled_from(["keep", "stop"]),
            "dies": st.none()
            | st.tuples(
                st.sampled_from(["desk.before_step", "desk.after_step", "replay.recorded"]),
                st.integers(1, 3),
            ),
            "meanwhile": st.lists(_VALUES, max_size=1),
        }
    ),
    max_size=4,
)


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(_BATCHES, _ACTIONS, st.integers(1, 4))
def test_any_history_of_replays_ends_in_the_same_table(
    batches: list[list[bytes | None]], actions: list[dict[str, Any]], rows_max: int
) -> None:
    """Subsets, repetitions, deaths and a stream that goes on: none of it may show."""
    with tempfile.TemporaryDirectory() as folder:
        made, oracle = _world(folder, "made", rows_max), _world(folder, "oracle", 1000)
        oracle.write_fields(RIGHT)
        for batch in batches:
            made.stream(*batch)
            oracle.stream(*batch)
        made.mend()
        for action in actions:
            if not made.letters():
                break
            _act(made, action)
            made.stream(*action["meanwhile"])
            oracle.stream(*action["meanwhile"])
            made.prove()
        if made.letters():
            made.replay(ANY)
        assert made.table() == oracle.table()
        open_ones = {letter["offset"] for letter in made.letters()} - {
            offset for offset, status in made.statuses().items() if status == "replayed"
        }
        assert open_ones == {letter["offset"] for letter in oracle.letters()}
        made.prove()


def _world(folder: str, name: str, rows_max: int) -> Replays:
    path = Path(folder) / name
    path.mkdir()
    made = Replays(path)
    address = f"table: '{path}/lake/orders'"
    text = made.path.read_text()
    made.path.write_text(text.replace(address, f"{address}, commit: {{max_records: {rows_max}}}"))
    return made


def _act(made: Replays, action: dict[str, Any]) -> None:
    selector = Selector(offsets=action["offsets"], status=action["status"])
    dies = action["dies"]
    more = {"kill_point": dies_at(*dies)} if dies else {}
    try:
        made.replay(selector, limit=action["limit"], on_fail=action["on_fail"], **more)
    except Died:
        # What it wrote and could not say is found by the next one, about whatever it is.
        made.replay(ANY, limit=1)
    except StreamProcessorError as error:
        if "no dead letter matches" not in error.message:
            raise
