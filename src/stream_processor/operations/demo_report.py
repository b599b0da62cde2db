"""What `make demo` says at its end: values, and the text that a person reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stream_processor.operations.program import as_typed

_NO_VALUE, _EMPTY = "(no value)", "(empty)"


@dataclass(frozen=True, slots=True)
class Example:
    """One dead letter. `message` and `preview` are printable: nothing in them acts on a terminal.

    `preview` is None for an event without a value.
    """

    topic: str
    partition: int
    offset: int
    message: str
    preview: str | None


@dataclass(frozen=True, slots=True)
class Cause:
    """The dead letters of this run with one code."""

    stage: str
    code: str
    count: int
    example: Example | None


@dataclass(frozen=True, slots=True)
class Totals:
    """What is in the tables now, and what `verify` concludes from them alone."""

    rows: int
    dead_letters: int
    clean: bool
    conclusion: str


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything is."""

    data: str
    dead_letters: str
    kafka: str


@dataclass(frozen=True, slots=True)
class DemoReport:
    """One run of the demo. `made` events were new, `waiting` ones were left by an earlier run.

    `seconds` is from the start of the job to its end, the claim of the tables included.
    """

    made: int
    waiting: int
    rows: int
    causes: tuple[Cause, ...]
    seconds: float
    totals: Totals
    places: Places

    @property
    def clean(self) -> bool:
        """Every offset is accounted for exactly once."""
        return self.totals.clean

    @property
    def dead_letters(self) -> int:
        """Of this run."""
        return sum(cause.count for cause in self.causes)

    @property
    def events_per_second(self) -> float:
        """Of this run."""
        return (self.rows + self.dead_letters) / max(self.seconds, 0.001)

    @property
    def continued(self) -> bool:
        """Whether an earlier run had filled the tables before."""
        return self.totals.rows + self.totals.dead_letters > self.rows + self.dead_letters

    def as_json(self) -> dict[str, Any]:
        """For `demo --json`."""
        return asdict(self) | {
            "clean": self.clean,
            "continued": self.continued,
            "dead_letters": self.dead_letters,
            "events_per_second": round(self.events_per_second),
        }

    @property
    def text(self) -> str:
        """For a person."""
        return "\n".join([*self._numbers(), "", *self._causes(), "", *self._proof_and_places()])

    def _numbers(self) -> Iterator[str]:
        if self.continued:
            before = self.totals.rows + self.totals.dead_letters - self.rows - self.dead_letters
            yield f"Continued where the last run ended, after {before:,} events."
        if self.waiting:
            yield f"{self.waiting:,} events of an earlier run were still waiting in Kafka."
        events = self.rows + self.dead_letters
        yield (
            f"{events:,} events in {self.seconds:.1f} s ({self.events_per_second:,.0f} a second): "
            f"{self.rows:,} rows, {self.dead_letters:,} dead letters"
        )
        if self.continued:
            yield (
                f"In the tables now: {self.totals.rows:,} rows, "
                f"{self.totals.dead_letters:,} dead letters"
            )

    def _causes(self) -> Iterator[str]:
        yield "Dead letters by code, each with one example:"
        for cause in self.causes:
            yield f"  {cause.count:>7,}  {cause.code}"
            if (one := cause.example) is not None:
                yield f"           {one.topic}[{one.partition}]@{one.offset}: {one.message}"
                yield f"           {_NO_VALUE if one.preview is None else one.preview or _EMPTY}"

    def _proof_and_places(self) -> Iterator[str]:
        yield f"verify       {self.totals.conclusion}"
        yield f"rows         {self.places.data}"
        yield f"dead letters {self.places.dead_letters}"
        yield f"Kafka        {self.places.kafka} (stopped)"
        yield ""
        yield "Next:"
        hints = [
            ("dlq list", "why there are dead letters, and from there how to put them right"),
            ("status", "how the tables stand"),
            ("verify", "the proof once more, from the tables alone"),
            ("run", "the same pipeline with a steady stream, until Ctrl-C"),
        ]
        for verb, why in hints:
            yield f"  {as_typed(f'{verb:<8}')}   {why}"
        if Path("Makefile").exists():
            yield "  make demo   as many events again"
            yield "  make test   all of it proven, on a real Kafka and a real MinIO"


@dataclass(frozen=True, slots=True)
class Stopped:
    """A signal ended the demo before its end; `events` of this run are in the tables."""

    events: int
    clean: bool = True

    @property
    def text(self) -> str:
        """For a person."""
        return f"Stopped after {self.events:,} events; the next run continues there."

    def as_json(self) -> dict[str, Any]:
        """For `demo --json`."""
        return asdict(self) | {"stopped": True}
