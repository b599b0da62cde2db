"""Is the topic still the one that we began to read, and is Kafka still there?"""

from __future__ import annotations

import threading
from collections.abc import Collection

from stream_processor.errors import BrokerUnavailable, OffsetGap, Rebalanced, TableRewound
from stream_processor.ports import Clock, Partition
from stream_processor.sources.kafka_log import ClientLog
from stream_processor.sources.kafka_settings import KafkaSettings
from stream_processor.sources.kafka_topics import Described, KafkaTopics

_LOOK_SECONDS = 30.0
_PAUSE_SECONDS = 0.2  # a request that fails does so after its time-out, or at once


class TopicWatch:
    """Remembers the topic ids of the last `renew`. Used by the Kafka source, on its thread.

    librdkafka goes on at the old offsets when a topic is deleted and created again
    (librdkafka #3255). A topic id never comes back: if, after the last event of a batch was
    fetched, the broker still names the id under which fetching began, every event of the batch is
    of that incarnation. What remains is a broker whose answer is older than the leader's log.
    """

    def __init__(
        self,
        topics: KafkaTopics,
        settings: KafkaSettings,
        log: ClientLog,
        clock: Clock,
        interrupted: threading.Event,
    ) -> None:
        self._topics = topics
        self._settings = settings
        self._log = log
        self._clock = clock
        self._interrupted = interrupted
        self._described: dict[str, Described] = {}
        self._looked_at = float("-inf")

    def renew(self, names: Collection[str]) -> None:
        """Ask for the ids of exactly these topics and remember them: fetching may begin."""
        self._described = self._topics.describe(names)

    def topic_id(self, name: str) -> str | None:
        """The id as of the last `renew`."""
        return self._described[name].topic_id

    def is_current(self, part: Partition) -> bool:
        """Whether this is a partition of the incarnation of the last `renew`."""
        known = self._described.get(part.topic)
        return known is not None and known.topic_id == part.bare.topic_id

    @property
    def due(self) -> bool:
        """Whether the last look is too old; that is also how a missing topic is noticed."""
        return self._clock.monotonic() - self._looked_at >= _LOOK_SECONDS

    def verify(self) -> None:
        """Look now, 2 ms. Raises `Rebalanced` for a topic that was created again, `TopicMissing`.

        Short silences of Kafka are waited for; `BrokerUnavailable` only after `contact_seconds`, or
        when we are interrupted.
        """
        self._looked_at = float("-inf")  # until it worked, every poll looks again
        found = self._ask_patiently({*self._described, *self._settings.kafka.topics})
        for name, known in self._described.items():
            if found[name].topic_id != known.topic_id:
                raise Rebalanced(f"topic {name} was deleted and created again")
        self._looked_at = self._clock.monotonic()
        self._log.in_contact()

    def _ask_patiently(self, names: Collection[str]) -> dict[str, Described]:
        began = self._log.away_since
        began = self._clock.monotonic() if began is None else began
        while True:
            try:
                return self._topics.describe(names)
            except BrokerUnavailable:
                away_seconds = self._clock.monotonic() - began
                if away_seconds >= self._settings.contact_seconds:
                    raise
                if self._interrupted.wait(_PAUSE_SECONDS):
                    raise


def out_of_range(
    part: Partition, position: int, low: int, high: int
) -> OffsetGap | TableRewound | None:
    """What it means that Kafka does not hold our position; None when it does after all."""
    if position < low:
        return OffsetGap(
            f"Kafka's retention has passed us: {part} is to be read from offset {position}, but "
            f"the first one that Kafka still holds is {low} ({low - position} offsets are gone)",
            hint="`run --accept-gap` goes on at the first offset and records the gap",
        )
    if position > high:
        return TableRewound(
            f"{part} was truncated: the table stands at offset {position}, but the log of Kafka "
            f"ends at {high}",
            hint="`run --accept-rewind` goes on at the end of the log, as if created again",
        )
    return None
