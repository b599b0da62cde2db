"""How what became of the events of a test differs from what its fixture expects. Pure.

Rows and dead letters are compared in the order of their events. Where there are more or fewer than
expected, those that fit are paired first, so that one missing row is one difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stream_processor.operations.fixture_values import shown
from stream_processor.schema import records

Record = Mapping[str, Any]

_MADE_UP = ("_kafka_", records.INGESTED_AT)
_CAUSE = ("stage", "code", "field_path", "actual")


@dataclass(frozen=True, slots=True)
class Difference:
    """One place that is not as expected: `rows[0].amount`; all texts are printable.

    `cause` says why there is a dead letter where a row was expected.
    """

    place: str
    expected: str
    found: str
    cause: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outputs:
    """Rows, dead letters and skipped events, as plain records in the order of their events."""

    rows: Sequence[Record]
    dlq: Sequence[Record]
    skipped: Sequence[Record]
    columns: Mapping[str, str]
    """For the path of a field its column: dead letters speak of paths."""


def subset(expected: Record, _found: Record) -> list[str]:
    """`match: subset`: only the named columns count."""
    return list(expected)


def exact(expected: Record, found: Record) -> list[str]:
    """`match: exact`: what is not named must be null, but for what no event can know."""
    return list(expected) + [
        name for name in found if name not in expected and not name.startswith(_MADE_UP)
    ]


def differences(expected: Outputs, found: Outputs, match: str) -> list[Difference]:
    """All of them, rows first. Called by `operations.fixtures` for each test."""
    rows = _Pairing("rows", expected.rows, found.rows, exact if match == "exact" else subset)
    dlq = _Pairing("dlq", expected.dlq, found.dlq, subset)
    skipped = _Pairing("skipped", expected.skipped, found.skipped, subset)
    kinds = (rows, dlq, skipped)
    return [
        *(each for kind in kinds for each in kind.unequal()),
        *_elsewhere(rows, dlq, found.columns),
        *(each for kind in kinds for each in kind.left_over()),
    ]


class _Pairing:
    """Which expected record belongs to which that was found."""

    def __init__(
        self,
        kind: str,
        expected: Sequence[Record],
        found: Sequence[Record],
        names: Callable[[Record, Record], list[str]],
    ) -> None:
        self.kind, self.expected, self.found, self.names = kind, expected, found, names
        self.missing = list(range(len(expected)))
        self.extra = list(range(len(found)))
        self.pairs: list[tuple[int, int]] = []
        if len(expected) != len(found):
            self._pair_what_fits()
        self.pairs += zip(self.missing, self.extra, strict=False)
        matched = min(len(self.missing), len(self.extra))
        self.missing, self.extra = self.missing[matched:], self.extra[matched:]

    def _pair_what_fits(self) -> None:
        behind = 0
        for index, record in enumerate(self.expected):
            fitting = (
                place
                for place in range(behind, len(self.found))
                if not list(self._unequal_names(record, self.found[place]))
            )
            if (place := next(fitting, None)) is not None:
                self.pairs.append((index, place))
                behind = place + 1
        self.missing = [i for i in self.missing if i not in {pair[0] for pair in self.pairs}]
        self.extra = [i for i in self.extra if i not in {pair[1] for pair in self.pairs}]

    def _unequal_names(self, expected: Record, found: Record) -> Iterator[str]:
        return (
            name for name in self.names(expected, found) if expected.get(name) != found.get(name)
        )

    def unequal(self) -> Iterator[Difference]:
        for index, place in self.pairs:
            expected, found = self.expected[index], self.found[place]
            for name in self._unequal_names(expected, found):
                yield Difference(
                    f"{self.kind}[{index}].{name}",
                    shown(expected.get(name)),
                    shown(found.get(name)),
                )

    def left_over(self) -> Iterator[Difference]:
        for index in self.missing:
            yield Difference(f"{self.kind}[{index}]", _in_words(self.expected[index]), "nothing")
        for place in self.extra:
            found = self.found[place]
            brief = found if self.kind != "dlq" else cause_of(found)
            yield Difference(self.kind, "no more", _in_words(brief))


def _elsewhere(rows: _Pairing, dlq: _Pairing, columns: Mapping[str, str]) -> Iterator[Difference]:
    """Rows that became dead letters, and the other way round: told as one difference each."""
    while rows.missing and dlq.extra:
        index, letter = rows.missing.pop(0), dlq.found[dlq.extra.pop(0)]
        expected = rows.expected[index]
        column = columns.get(letter["field_path"] or "", "")
        place, words = f"rows[{index}]", "a row"
        if column in expected:
            place, words = f"{place}.{column}", shown(expected[column])
        yield Difference(place, words, "a dead letter", cause_of(letter))
    while dlq.missing and rows.extra:
        index, row = dlq.missing.pop(0), rows.found[rows.extra.pop(0)]
        words = f"a dead letter with {_in_words(dlq.expected[index])}"
        yield Difference(f"dlq[{index}]", words, f"a row: {_in_words(row)}")


def cause_of(letter: Record) -> dict[str, Any]:
    """The cause of a dead letter, without what it does not have."""
    return {name: letter[name] for name in _CAUSE if letter.get(name) is not None}


def _in_words(record: Record) -> str:
    named = {
        name: value
        for name, value in record.items()
        if value is not None and not name.startswith(_MADE_UP)
    }
    return " ".join(f"{name}={shown(value)}" for name, value in named.items()) or "any"
