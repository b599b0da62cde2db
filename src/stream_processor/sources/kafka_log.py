"""librdkafka's own log lines and errors, as bounded events of the observer instead of stderr."""

from __future__ import annotations

from confluent_kafka import KafkaError

from stream_processor.ports import Clock, Observer
from stream_processor.sources.kafka_errors import Meaning, detail, is_oversized, meaning

_QUIET_SECONDS = 10.0
_TEXT_MAX = 300


class ClientLog:
    """Handed to every client as its `logger` and its `error_cb`; called while we poll it.

    A broker that is away makes librdkafka repeat itself every second, so a kind of line is passed
    on at most once in ten seconds, with the number of lines left out.
    """

    def __init__(self, observer: Observer, clock: Clock) -> None:
        self._observer = observer
        self._clock = clock
        self._last: dict[str, float] = {}
        self._left_out: dict[str, int] = {}
        self.rejected: KafkaError | None = None
        self.fatal: KafkaError | None = None
        self.away_since: float | None = None
        self._away: KafkaError | None = None
        self.oversized: KafkaError | None = None

    def log(self, level: int, _layout: str, facility: str, client: str, text: str) -> None:
        """The one method of `logging.Logger` that the client calls."""
        self._pass_on(f"log:{facility}", level=level, client=client, text=text[:_TEXT_MAX])

    def client_error(self, error: KafkaError) -> None:
        """The client's `error_cb`: errors that belong to no partition."""
        sense = meaning(error)
        if error.fatal():
            self.fatal = error
        elif sense is Meaning.REJECTED:
            self.rejected = error
        elif sense is Meaning.AWAY:
            self._note_away(error)
        elif is_oversized(error):
            self.oversized = error
        self._pass_on(f"error:{error.name()}", text=detail(error))

    def _note_away(self, error: KafkaError) -> None:
        if self.away_since is None:
            self.away_since = self._clock.monotonic()
        if error.code() != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 - its public name
            self._away = error  # says more: which name, which certificate

    def reason_of(self, error: KafkaError) -> KafkaError:
        """What lies behind a time-out, if the client has told; else the error itself."""
        if meaning(error) is not Meaning.AWAY:
            return error
        reason = self.rejected or self._away or error
        self.rejected = None
        return reason

    def commit_failed(self, text: str) -> None:
        """The group did not take our offsets: lag tools show an old position, nothing else."""
        self._pass_on("group_commit_failed", text=text[:_TEXT_MAX])

    def in_contact(self) -> None:
        """A broker answered: whatever was away is back."""
        self.away_since = None
        self._away = None

    def _pass_on(self, kind: str, **fields: object) -> None:
        now = self._clock.monotonic()
        if now - self._last.get(kind, -_QUIET_SECONDS) < _QUIET_SECONDS:
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return
        self._last[kind] = now
        left_out = self._left_out.pop(kind, 0)
        self._observer.event("kafka_client", kind=kind, left_out=left_out, **fields)
