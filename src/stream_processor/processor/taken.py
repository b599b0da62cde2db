"""What a decoder makes of the events of a slice, whichever decoder it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from stream_processor.processor.columns import Column, Indexes
from stream_processor.processor.reader import Token


class Taken(NamedTuple):
    """Events that were taken apart, by their index in the slice, in order.

    `columns` are those of the schema, `rescued` what it does not read (None when nothing is kept);
    both have one value per event of `rows`. `unknown` has the members that may not be there, and
    `texts` gives the texts of a field (its place in the schema); both go by the place in `rows`.
    """

    rows: Indexes
    columns: list[Column]
    rescued: pa.StringArray | None
    unknown: Mapping[int, list[tuple[str, Token]]]
    texts: Callable[[int, Indexes], list[bytes]]


def merged(first: Taken, second: Taken) -> Taken:
    """The events of both, in order. They have none in common."""
    if not len(second.rows):
        return first
    if not len(first.rows):
        return second
    rows = np.concatenate([first.rows, second.rows])
    order = np.argsort(rows, kind="stable")
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    count = len(first.rows)
    columns = [
        _both(of_first, of_second, order, places)
        for of_first, of_second in zip(first.columns, second.columns, strict=True)
    ]
    rescued = None
    if first.rescued is not None and second.rescued is not None:
        rescued = pa.concat_arrays([first.rescued, second.rescued]).take(pa.array(order))

    def texts(place: int, indexes: Indexes) -> list[bytes]:
        before = order[indexes]
        is_first = before < count
        of_first = iter(first.texts(place, before[is_first]))
        of_second = iter(second.texts(place, before[~is_first] - count))
        return [next(of_first if one else of_second) for one in is_first.tolist()]

    unknown = {int(places[index]): found for index, found in first.unknown.items()}
    unknown |= {int(places[count + index]): found for index, found in second.unknown.items()}
    return Taken(rows[order], columns, rescued, unknown, texts)


def _both(first: Column, second: Column, order: Indexes, places: Indexes) -> Column:
    count = len(first.failed)
    failures = {int(places[index]): why for index, why in first.failures.items()}
    failures |= {int(places[count + index]): why for index, why in second.failures.items()}
    return Column(
        pa.concat_arrays([first.array, second.array]).take(pa.array(order)),
        np.concatenate([first.failed, second.failed])[order],
        failures,
    )
