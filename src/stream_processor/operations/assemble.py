"""The composition root: builds engine, source and sinks from a pipeline file. Starts nothing."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import stream_processor
from stream_processor.config.fields import SchemaFile
from stream_processor.config.pipeline import Pipeline, StorageConfig
from stream_processor.operations.delta_access import delta_options
from stream_processor.operations.snapshots import tables_of
from stream_processor.ports import Clock, Decisions, KillPoint, Observer, never
from stream_processor.processor.plan import Plan, PlanOptions, make_plan
from stream_processor.runtime.breaker import Breaker, BreakerTerms
from stream_processor.runtime.embedded import Engine, Parts
from stream_processor.runtime.flow import Limits
from stream_processor.runtime.goal import Goal
from stream_processor.runtime.object_store import open_store
from stream_processor.runtime.ownership import Terms
from stream_processor.runtime.retry import Backoff, Retry, Stop
from stream_processor.runtime.transform_steps import steps_of
from stream_processor.schema import records
from stream_processor.schema.compile import compile_schema
from stream_processor.schema.table import partition_columns
from stream_processor.sinks.dead_letters import DeltaDeadLetters
from stream_processor.sinks.delta import DeltaSink
from stream_processor.sinks.delta_create import TableSpec
from stream_processor.sinks.delta_desk import Desk
from stream_processor.sinks.delta_ledger import Ledger
from stream_processor.sinks.delta_table import FencedTable
from stream_processor.sources.kafka import KafkaSource
from stream_processor.sources.kafka_settings import KafkaSettings
from stream_processor.sources.limits import BatchLimits

# At most three batches are in memory (filling, prepared, being committed), each about three times
# its raw size while it is worked on; the rest is what librdkafka has fetched ahead.
_BATCH_SHARE = 16
_FETCH_SHARE = 5


@dataclass(frozen=True, slots=True)
class Environment:
    """What the engine takes from the process around it."""

    observer: Observer
    clock: Clock
    stop: Stop
    kill_point: KillPoint = never


@dataclass(frozen=True, slots=True)
class RunTerms:
    """What a person asked of this run on the command line."""

    decisions: Decisions = Decisions()  # noqa: RUF009 - frozen, so one value may be shared
    until_latest: bool = False
    records_max: int | None = None


def plan_of(pipeline: Pipeline, schema_file: SchemaFile) -> Plan:
    """The rules of the kernel. Raises `ConfigurationError`."""
    return make_plan(
        compile_schema(schema_file),
        PlanOptions(
            pipeline_id=pipeline.pipeline_id,
            unknown_fields=pipeline.schema_.unknown_fields,
            coerce=pipeline.schema_.coerce,
            tombstone=pipeline.tombstone,
            max_record_bytes=int(pipeline.max_record_bytes),
            max_depth=pipeline.max_depth,
            metadata=pipeline.sink.delta.metadata,
            partition_by=pipeline.sink.delta.partition_by,
            preview_mask=pipeline.dlq.preview_mask,
            app_version=stream_processor.__version__,
            decoder=pipeline.engine.decoder,
            transform=steps_of(pipeline.transform),
        ),
    )


def breaker_terms(pipeline: Pipeline, plan: Plan, decisions: Decisions) -> BreakerTerms:
    """The breaker as the file and a person want it; its mark is that of everything that judges."""
    config = pipeline.dlq.breaker
    limits = Limits(config.max_ratio, config.window_records, config.max_consecutive)
    judging = replace(plan.options, app_version="", engine="", decoder="")  # judge nothing
    text = repr((plan.schema.schema_hash, judging, limits))
    mark = int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big") + 1
    return BreakerTerms(limits, config.action, mark, decisions.resume)


def data_table(pipeline: Pipeline, plan: Plan) -> TableSpec:
    """The data table as it must be."""
    return TableSpec(
        uri=pipeline.sink.delta.table,
        schema=plan.table,
        pipeline_id=pipeline.pipeline_id,
        partition_by=tuple(partition_columns(pipeline.sink.delta.partition_by)),
        properties=pipeline.sink.delta.properties,
        description=f"rows of the pipeline {pipeline.name}",
        options=delta_options(pipeline.sink.delta.storage),
    )


def dead_letter_table(pipeline: Pipeline) -> TableSpec:
    """The dead letter table as it must be."""
    return TableSpec(
        uri=pipeline.dead_letter_table,
        schema=records.DEAD_LETTER,
        pipeline_id=pipeline.pipeline_id,
        partition_by=("failed_date",),
        description=f"dead letters of the pipeline {pipeline.name}",
        options=delta_options(pipeline.dead_letter_storage),
    )


def ledger_table(pipeline: Pipeline) -> TableSpec:
    """The ledger of what people did with dead letters, as it must be."""
    return TableSpec(
        uri=tables_of(pipeline).ledger,
        schema=records.ACTION,
        pipeline_id=pipeline.pipeline_id,
        description=f"what was done with dead letters of the pipeline {pipeline.name}",
        options=delta_options(pipeline.dead_letter_storage),
    )


def ledger(pipeline: Pipeline) -> Ledger:
    """The door to the ledger, for every verb that acts on dead letters."""
    spec = ledger_table(pipeline)
    return Ledger(spec, open_store(spec.uri, pipeline.dead_letter_storage))


def desk(pipeline: Pipeline, plan: Plan, run_id: str, kill_point: KillPoint = never) -> Desk:
    """One job's turn at moving dead letters, not yet claimed."""
    spec = data_table(pipeline, plan)
    store = open_store(spec.uri, pipeline.sink.delta.storage)
    return Desk(spec, store, run_id, kill_point)


def kafka_source(
    pipeline: Pipeline, terms: RunTerms, environment: Environment, on_revoke: Callable[[], None]
) -> KafkaSource:
    """The source, subscribed but not yet assigned anything."""
    commit = pipeline.sink.delta.commit
    memory = int(pipeline.engine.memory_limit)
    return KafkaSource(
        KafkaSettings(
            kafka=pipeline.source.kafka,
            group_id=pipeline.group_id,
            memory_bytes=memory // _FETCH_SHARE,
            accept_gap=terms.decisions.accept_gap,
        ),
        BatchLimits(
            rows_max=min(commit.max_records, terms.records_max or commit.max_records),
            bytes_max=min(int(commit.max_bytes), memory // _BATCH_SHARE),
            age_seconds=float(commit.every),
        ),
        environment.observer,
        environment.clock,
        on_revoke,
    )


def engine(
    pipeline: Pipeline, schema_file: SchemaFile, terms: RunTerms, environment: Environment
) -> Engine:
    """Everything that `run` drives. Raises `ConfigurationError`; no table is touched yet."""
    plan = plan_of(pipeline, schema_file)
    revoke = _Late()
    breaker = Breaker(
        breaker_terms(pipeline, plan, terms.decisions), tell=environment.observer.event
    )
    parts = Parts(
        source=kafka_source(pipeline, terms, environment, revoke),
        plan=plan,
        sink=DeltaSink(
            _table(
                "data",
                data_table(pipeline, plan),
                pipeline.sink.delta.storage,
                terms.decisions,
                environment,
            ),
            plan.transform.rules,
        ),
        dead_letters=DeltaDeadLetters(
            _table(
                "dead_letters",
                dead_letter_table(pipeline),
                pipeline.dead_letter_storage,
                terms.decisions,
                environment,
            )
        ),
        terms=Terms(
            terms.decisions,
            by_pattern=pipeline.source.kafka.topics_regex is not None,
            resumes=breaker.resumes,
        ),
    )
    made = Engine(
        parts,
        environment.observer,
        environment.clock,
        retry=Retry(
            Backoff(),
            environment.clock,
            random.Random(),  # noqa: S311 - jitter
            environment.stop,
        ),
        stop=environment.stop,
        goal=Goal(terms.until_latest, terms.records_max),
        breaker=breaker,
    )
    revoke.target = made.wait_in_flight
    return made


def _table(
    name: str,
    spec: TableSpec,
    storage: StorageConfig,
    decisions: Decisions,
    environment: Environment,
) -> FencedTable:
    return FencedTable(
        spec,
        open_store(spec.uri, storage),
        name=name,
        decisions=decisions,
        kill_point=environment.kill_point,
        on_commit=lambda seconds: environment.observer.timed(name, seconds),
    )


class _Late:
    """The revoke hook of the source, whose target, the engine, is made after it."""

    def __init__(self) -> None:
        self.target: Callable[[], None] | None = None

    def __call__(self) -> None:
        if self.target is not None:
            self.target()
