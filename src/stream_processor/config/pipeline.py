"""The pipeline file as typed, frozen values. It holds exactly the keys that work.

Made by `runtime.config_loader`, which resolves references and reports every error with its place.
The text below each key is its documentation: the JSON Schema of editors and the reference page are
generated from it. Rules that concern more than one key are in `config.rules`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, model_validator

from stream_processor.config.model import Model
from stream_processor.config.transform import TransformStep
from stream_processor.config.units import Duration, Size
from stream_processor.config.values import (
    Flag,
    Folder,
    Identifier,
    Names,
    Ratio,
    Text,
    TextMap,
    Whole,
)


class Security(Model):
    """How to speak to a protected Kafka."""

    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """Whether the connection is encrypted (SSL) and whether we log in (SASL)."""
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = None
    """How we log in; needed with a SASL protocol. Settings of OAUTHBEARER go to `properties`."""
    username: str | None = None
    """User name for PLAIN and SCRAM."""
    password: SecretStr | None = None
    """Password for PLAIN and SCRAM. Best written `${file:/run/secrets/kafka_password}`."""
    ca_file: str | None = None
    """PEM file of the authority that signed the brokers' certificates; the system's if absent."""
    certificate_file: str | None = None
    """PEM file of our own certificate (mutual TLS); together with `key_file`."""
    key_file: str | None = None
    """PEM file of our own private key."""
    key_password: SecretStr | None = None
    """Password of `key_file`, where it has one."""


class KafkaSource(Model):
    """Which Kafka topics to read, and how."""

    bootstrap_servers: Text
    """Brokers to ask first: `host:port`, several with commas."""
    topics: Names = ()
    """Topics to read: a list, or one text with commas. Either this or `topics_regex`."""
    topics_regex: str | None = None
    """Read every topic whose name matches, also those created later. Begins with `^`."""
    group_id: Text | None = None
    """Consumer group; the pipeline's id if absent. Lag tools find our offsets there."""
    start: str = "earliest"
    """Where a partition begins that the table does not know: `earliest`, `latest`, or an RFC 3339
    time. It is resolved once and written down; afterwards the table alone knows the position."""
    topic_identity: Literal["id", "name"] = "id"
    """Tell topics apart by Kafka's topic id, or by `name` for brokers that have no ids: then a
    topic that is deleted and created again is not noticed."""
    security: Security = Security()
    """Encryption and login."""
    properties: TextMap = Field(default_factory=dict)
    """Further settings of librdkafka, passed on as they are, except those that would break the
    promise of exactly once."""


class SourceConfig(Model):
    """Where events enter."""

    kafka: KafkaSource
    """Kafka."""


class SchemaConfig(Model):
    """What an event means."""

    file: Text
    """The schema file, relative to the pipeline file."""
    unknown_fields: Literal["rescue", "drop", "reject"] = "rescue"
    """Fields that the schema does not name: kept beside the row in `_rescued`, left out, or
    dead-lettered."""
    coerce: Literal["safe", "strict"] = "safe"
    """`safe` takes `"12"` for a number where nothing is lost; `strict` takes numbers only."""


class CommitConfig(Model):
    """When a batch becomes durable: whichever limit is met first."""

    every: Duration = Duration(10)
    """Age of the oldest event of a batch. Shorter: fresher rows, more and smaller files."""
    max_records: Whole = Field(default=250_000, ge=1, le=10_000_000)
    """Number of events of a batch."""
    max_bytes: Size = Size(64 * 2**20)
    """Size of the events of a batch."""


class StorageConfig(Model):
    """The object store behind an `s3://` table; unused for a local folder."""

    endpoint: str | None = None
    """Address of MinIO or another S3-compatible store; AWS if absent."""
    region: str | None = None
    """Region; `us-east-1` if absent, which MinIO takes."""
    access_key_id: SecretStr | None = None
    """Access key; together with `secret_access_key`."""
    secret_access_key: SecretStr | None = None
    """Secret key. Best written `${file:/run/secrets/s3_secret}`."""
    allow_http: Flag = False
    """Speak without encryption. True by itself where the endpoint begins with `http://`."""
    ca_file: str | None = None
    """PEM file of the authority that signed the store's certificate; the system's if absent."""
    options: TextMap = Field(default_factory=dict)
    """Further options of the object store, passed on as they are, except those that would make
    commits unsafe."""

    @model_validator(mode="before")
    @classmethod
    def _infer_http(cls, data: Any) -> Any:
        endpoint = data.get("endpoint") if isinstance(data, dict) else None
        if isinstance(endpoint, str) and endpoint.startswith("http://"):
            return {"allow_http": True, **data}
        return data


class DeltaSink(Model):
    """The Delta table of valid rows."""

    table: Folder
    """`s3://bucket/prefix`, or a local folder relative to where the program is started. Created
    from the schema where it does not exist."""
    mode: Literal["append"] = "append"
    """Every event becomes a row of its own."""
    partition_by: tuple[Text, ...] = ()
    """Partition columns: a column, or `date(column)` of a timestamp, which adds `column_date`."""
    properties: TextMap = Field(default_factory=dict)
    """Delta table properties, set when the table is created."""
    metadata: tuple[Literal["key", "headers"], ...] = ()
    """Keep Kafka's key and headers as the columns `_kafka_key` and `_kafka_headers` too."""
    commit: CommitConfig = CommitConfig()
    """When a batch becomes durable."""
    storage: StorageConfig = StorageConfig()
    """The object store."""


class SinkConfig(Model):
    """Where rows leave."""

    delta: DeltaSink
    """A Delta table."""


class BreakerConfig(Model):
    """When dead letters are a flood, told for each topic by itself, and what is done then."""

    max_ratio: Ratio = Field(default=0.2, gt=0, le=1)
    """A flood: a larger share of the last `window_records` events are dead letters. It is over
    when their share is half of this."""
    window_records: Whole = Field(default=10_000, ge=100, le=1_000_000)
    """How many events of a topic are looked at; as long as there were fewer, `max_ratio` does not
    count."""
    max_consecutive: Whole = Field(default=500, ge=10, le=1_000_000)
    """A flood too: so many dead letters of one partition, one after the other. It is over when
    `window_records` events came without such a run."""
    action: Literal["surge", "pause", "none"] = "surge"
    """`surge` goes on at full speed: each dead letter is written, with its exact bytes and cause,
    but `problems`, `message` and `value_preview` only for a sample. `pause` reads nothing more
    behind the batch that began the flood, until a person goes on (`run --resume`, or a changed
    file); a bounded run ends with exit code 4. `none` does nothing."""


class DeadLetterConfig(Model):
    """The Delta table of events that could not become rows."""

    table: Folder | None = None
    """Where it is; the name of the data table with `__dlq` if absent."""
    storage: StorageConfig | None = None
    """Its object store; that of the data table if absent."""
    preview_mask: tuple[Text, ...] = ()
    """What is hidden in previews and messages: fields by their dotted path, and `re:` with a
    pattern (RE2) for whatever it finds in any text, like `re:[0-9]{13,19}`. The exact bytes of the
    event are kept all the same."""
    breaker: BreakerConfig = BreakerConfig()
    """What to do when there are too many of them."""


class EngineConfig(Model):
    """Bounds of the process."""

    memory_limit: Size = Size(512 * 2**20)
    """Memory for events on their way; fetching pauses where it is used up."""
    drain_timeout: Duration = Duration(30)
    """How long a stop may take to finish the batch at hand."""
    decoder: Literal["auto", "python"] = "auto"
    """Who takes JSON apart: `auto` is the decoder in C where it was built (as `version` shows it),
    and Python for what that leaves over; `python` is Python alone, slower. Both say the same."""


class MaintenanceConfig(Model):
    """What a running stream does to keep its tables quick to open and cheap to keep: the same as
    the verb `maintain`."""

    enabled: Flag = False
    """Whether the stream maintains its tables itself; if not, a timer calls `maintain --apply`.
    Needs the right to delete objects of the tables."""
    every: Duration = Duration(3600)
    """How often."""
    steps: tuple[Literal["fold", "compact", "vacuum", "checkpoint", "clean"], ...] = (
        "fold",
        "compact",
        "vacuum",
        "checkpoint",
        "clean",
    )
    """What is done."""
    max_files: Whole = Field(default=20_000, ge=1, le=10_000_000)
    """How many small files one maintenance reads at most."""
    max_bytes: Size = Size(4 * 2**30)
    """And their size."""
    max_time: Duration = Duration(900)
    """And how long it may take. All three are looked at between two steps."""


class ObservabilityConfig(Model):
    """What the outside can see."""

    listen: str | None = None
    """`host:port` for `/livez`, `/readyz` and `/metrics`; nothing listens if absent."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important log lines that are written."""


class Pipeline(Model):
    """One stream: Kafka topics to a Delta table and its dead letters."""

    version: Literal[1]
    """Version of this file format: `1`."""
    name: Text
    """What people call it; may change."""
    id: Identifier | None = None
    """Its identity in the tables, never to change; the name if absent."""
    source: SourceConfig
    """Where events enter."""
    schema_: SchemaConfig = Field(alias="schema")
    """What an event means."""
    transform: tuple[TransformStep, ...] = ()
    """What is done with a row between the schema and the table, step by step."""
    sink: SinkConfig
    """Where rows leave."""
    dlq: DeadLetterConfig = DeadLetterConfig()
    """The dead letters."""
    max_record_bytes: Size = Size(2**20)
    """A larger event is a dead letter, of which the first 64 KiB are kept."""
    max_depth: Annotated[Whole, Field(ge=1, le=128)] = 128
    """An event that is nested deeper is a dead letter."""
    tombstone: Literal["dead_letter", "skip"] = "dead_letter"
    """What to do with an event that has a key and no value: keep it as evidence, or count it."""
    engine: EngineConfig = EngineConfig()
    """Bounds of the process."""
    maintenance: MaintenanceConfig = MaintenanceConfig()
    """Upkeep of the tables by the stream itself."""
    observability: ObservabilityConfig = ObservabilityConfig()
    """What the outside can see."""

    @property
    def pipeline_id(self) -> str:
        """The identity in the tables: `id`, or `name` where none is set."""
        return self.id or self.name

    @property
    def group_id(self) -> str:
        """The consumer group: as set, or the pipeline's identity."""
        return self.source.kafka.group_id or self.pipeline_id

    @property
    def dead_letter_table(self) -> str:
        """Where the dead letters go: as set, or beside the data table."""
        return self.dlq.table or f"{self.sink.delta.table}__dlq"

    @property
    def dead_letter_storage(self) -> StorageConfig:
        """The store of the dead letters: as set, or that of the data table."""
        return self.dlq.storage or self.sink.delta.storage
