"""Takes the events of a slice apart in Python: every event, or those that another one left over."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from stream_processor.processor.columns import Indexes, Rows, TokenList, column
from stream_processor.processor.exact import judge_of
from stream_processor.processor.plan import Plan
from stream_processor.processor.reader import Reading, reader_of
from stream_processor.processor.rejection import Rejection
from stream_processor.processor.screen import screen
from stream_processor.processor.syntax import fault, too_deep
from stream_processor.processor.taken import Taken


def take(values: pa.BinaryArray, asked: Rows, plan: Plan, dead: dict[int, Rejection]) -> Taken:
    """The events among `asked` that are JSON objects; why the others are none goes into `dead`."""
    rows = np.flatnonzero(asked)
    if len(rows) != len(values):
        values = values.take(pa.array(rows))
    texts: list[bytes] = values.to_pylist()
    rejected = _reject_texts(values, texts, plan)
    if rejected:
        dead.update((int(rows[place]), why) for place, why in rejected.items())
        rows, texts = _without(rows, texts, list(rejected))
    reading = reader_of(plan).read(texts)
    if reading.refused:
        judge = judge_of(plan)
        dead.update((int(rows[place]), judge.unreadable(texts[place])) for place in reading.refused)
        rows, _ = _without(rows, texts, reading.refused)
    return _taken(rows, reading, plan)


def _reject_texts(values: pa.BinaryArray, texts: list[bytes], plan: Plan) -> dict[int, Rejection]:
    """What must not meet a decoder, or is no text to decode at all."""
    screening = screen(values, plan.options)
    suspect = screening.suspect.tolist()
    rejected = {}
    for place in np.flatnonzero(screening.suspect | screening.bracketed).tolist():
        judged = fault if suspect[place] else too_deep
        rejection = judged(texts[place], plan.options)
        if rejection is not None:
            rejected[place] = rejection
    return rejected


def _without(rows: Indexes, texts: list[bytes], places: list[int]) -> tuple[Indexes, list[bytes]]:
    left = np.ones(len(rows), dtype=np.bool_)
    left[places] = False
    return rows[left], [texts[place] for place in np.flatnonzero(left).tolist()]


def _taken(rows: Indexes, reading: Reading, plan: Plan) -> Taken:
    lists = {path: TokenList(tokens) for path, tokens in reading.tokens.items()}
    tokens = [lists[field.path] for field in plan.schema.fields]
    columns = [
        column(field, plan.options.coerce, tokens[place])
        for place, field in enumerate(plan.schema.fields)
    ]
    rescued = reading.rescued
    return Taken(
        rows=rows,
        columns=columns,
        rescued=None if rescued is None else pa.array(rescued, pa.binary()).cast(pa.string()),
        unknown=reading.unknown,
        texts=lambda place, indexes: tokens[place].texts(indexes),
    )
