"""Everything that can go wrong, as one tree.

The question to ask at each branch: retry, stop, or dead-letter?

    StreamProcessorError
    |-- ConfigurationError        stop, exit 2: a person must edit a file or a variable
    |   |-- StoreRefused          stop, exit 2: a store without conditional create
    |   `-- TableRefused          stop, exit 2, before anything is written to the table
    |-- Unavailable               retry: pause, not-ready, try again with jitter; exit 3 at start
    |   |-- BrokerUnavailable
    |   |-- StoreUnavailable
    |   |-- CredentialsRejected
    |   `-- TopicMissing
    |-- OwnershipChanged          retry at once: forget the batch, go to ON ASSIGN
    |   |-- Rebalanced            Kafka moved partitions
    |   `-- Fenced                another writer was faster, or a commit's outcome is unknown
    |-- BreakerOpen               pause, exit 4 of a bounded run: too many dead letters
    |-- DecisionNeeded            stop, exit 1: the world is not what the table remembers
    |   |-- OffsetGap             `run --accept-gap`
    |   |-- TableRewound          `run --accept-rewind`
    |   |-- TableReplaced         `run --reset`
    |   |-- TopicRecreated        `run --accept-recreated TOPIC`
    |   |-- CommitOverwritten     another engine replaced a log entry of ours: it must stop first
    |   `-- PartitionUnreadable   a bounded run cannot get to its end: a larger limit in the file
    |-- CommitHung                stop, exit 1: a commit never ends; a restart asks the tables
    `-- InternalError             our own mistake: never a dead letter, never an offset moved
        `-- ConservationViolated  the law of conservation does not hold for a batch

A bad *record* is never an exception: the kernel returns it as a dead letter.
Foreign exceptions stop at the adapter that met them and become one of these (``raise ... from``).
"""

from __future__ import annotations


class StreamProcessorError(Exception):
    """Base of every error of this package. `str(error)` is one sentence fit for a person.

    `hint` says what to do next; neither ever holds a payload or a secret.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigurationError(StreamProcessorError):
    """A file, a flag or a variable is wrong. Stop; a person must edit it."""

    exit_code = 2


class StoreRefused(ConfigurationError):
    """The object store does not enforce conditional create, on which exactly-once stands."""


class TableRefused(ConfigurationError):
    """The table has another owner, a newer format, or a feature or constraint we cannot honour."""


class Unavailable(StreamProcessorError):
    """Something outside does not answer. Pause and try again; nothing is lost meanwhile."""

    exit_code = 3


class BrokerUnavailable(Unavailable):
    """Kafka cannot be reached, or does not answer in time."""


class StoreUnavailable(Unavailable):
    """The object store or the local disk cannot be reached, is full, or answers with an error."""


class CredentialsRejected(Unavailable):
    """Kafka or the object store says no. Only a person can mend it, so keep trying slowly."""


class TopicMissing(Unavailable):
    """A subscribed topic does not exist (yet)."""


class OwnershipChanged(StreamProcessorError):
    """This process may no longer write what it holds in memory. Forget it and claim anew."""


class Rebalanced(OwnershipChanged):
    """Kafka gave partitions to us or took some away."""


class Fenced(OwnershipChanged):
    """A newer owner fenced us, or the outcome of our commit is unknown: the table decides."""


class BreakerOpen(StreamProcessorError):
    """Too many dead letters, and the file says that the stream shall pause then."""

    exit_code = 4


class DecisionNeeded(StreamProcessorError):
    """The world is not what the table remembers. Stop; a person must say how to go on."""


class OffsetGap(DecisionNeeded):
    """Kafka's retention has passed our position: offsets are gone for ever."""


class TableRewound(DecisionNeeded):
    """The table was restored to an older version, or its offset is above Kafka's high watermark."""


class TableReplaced(DecisionNeeded):
    """The consumer group has committed offsets but the table knows none of them."""


class TopicRecreated(DecisionNeeded):
    """The topic was deleted and created again: same name, other events."""


class CommitOverwritten(DecisionNeeded):
    """Another engine wrote its log entry over one of ours, with the rows and offsets in it."""


class PartitionUnreadable(DecisionNeeded):
    """A bounded run has done all but what cannot be fetched or unpacked."""


class CommitHung(StreamProcessorError):
    """A commit neither lands nor fails: the disk does not answer. Only a restart helps."""


class InternalError(StreamProcessorError):
    """A mistake of ours. It never costs a record: nothing is written, no offset moves."""


class ConservationViolated(InternalError):
    """A raw event is in none, or in more than one, of valid, dead and skipped."""
