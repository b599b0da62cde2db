"""The pipeline file as typed, frozen values. It holds exactly the keys that work.

Made by `runtime.config_loader`, which resolves references and reports every error with its place;
the JSON Schema of editors is generated from these classes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from stream_processor.config.units import Duration, Size

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,128}$")]


class Model(BaseModel):
    """Strict and frozen: an unknown key is an error, a value never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Security(Model):
    """How to speak to a protected Kafka."""

    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = None
    username: str | None = None
    password: SecretStr | None = None
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    key_password: SecretStr | None = None


class KafkaSource(Model):
    """Topics to read."""

    bootstrap_servers: str
    topics: tuple[str, ...] = ()
    topics_regex: str | None = None
    group_id: str | None = None
    start: str = "earliest"  # earliest | latest | an RFC 3339 timestamp
    topic_identity: Literal["id", "name"] = "id"
    security: Security = Security()
    properties: dict[str, str] = Field(default_factory=dict)


class SourceConfig(Model):
    """Where events enter."""

    kafka: KafkaSource


class SchemaConfig(Model):
    """What an event means."""

    file: str
    unknown_fields: Literal["rescue", "drop", "reject"] = "rescue"
    coerce: Literal["safe", "strict"] = "safe"


class CommitConfig(Model):
    """When a batch becomes durable: whichever limit is met first."""

    every: Duration = Duration(10)
    max_records: int = Field(default=250_000, ge=1)
    max_bytes: Size = Size(64 * 2**20)


class StorageConfig(Model):
    """The object store behind an `s3://` table; empty for a local folder."""

    endpoint: str | None = None
    region: str | None = None
    access_key_id: SecretStr | None = None
    secret_access_key: SecretStr | None = None
    allow_http: bool = False
    ca_file: str | None = None
    options: dict[str, str] = Field(default_factory=dict)


class DeltaSink(Model):
    """The table of valid rows."""

    table: str
    mode: Literal["append"] = "append"
    partition_by: tuple[str, ...] = ()
    properties: dict[str, str] = Field(default_factory=dict)
    metadata: tuple[Literal["key", "headers"], ...] = ()
    commit: CommitConfig = CommitConfig()
    storage: StorageConfig = StorageConfig()


class SinkConfig(Model):
    """Where rows leave."""

    delta: DeltaSink


class DeadLetterConfig(Model):
    """The table of dead letters; `<table>__dlq` in the same store unless named."""

    table: str | None = None
    storage: StorageConfig | None = None
    preview_mask: tuple[str, ...] = ()


class EngineConfig(Model):
    """Bounds of the process."""

    memory_limit: Size = Size(512 * 2**20)
    drain_timeout: Duration = Duration(30)


class ObservabilityConfig(Model):
    """What the outside can see."""

    listen: str | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class Pipeline(Model):
    """One stream: Kafka topics to a Delta table and its dead letters."""

    version: Literal[1]
    name: str
    id: Identifier | None = None
    source: SourceConfig
    schema_: SchemaConfig = Field(alias="schema")
    sink: SinkConfig
    dlq: DeadLetterConfig = DeadLetterConfig()
    max_record_bytes: Size = Size(2**20)
    max_depth: int = Field(default=128, ge=1, le=128)
    tombstone: Literal["dead_letter", "skip"] = "dead_letter"
    engine: EngineConfig = EngineConfig()
    observability: ObservabilityConfig = ObservabilityConfig()

    @property
    def pipeline_id(self) -> str:
        """The identity in the tables: `id`, or `name` where none is set."""
        return self.id or self.name
