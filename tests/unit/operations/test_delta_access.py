"""The Delta library takes a private authority from the environment only, whoever calls it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from stream_processor.config.fields import SchemaFile
from stream_processor.config.pipeline import Pipeline
from stream_processor.errors import ConfigurationError
from stream_processor.operations.assemble import data_table, dead_letter_table, plan_of
from stream_processor.operations.snapshots import open_data, tables_of


def opened(pipeline: Pipeline) -> None:
    with pytest.raises(ConfigurationError, match="there is no table"):
        open_data(tables_of(pipeline))


def data(pipeline: Pipeline) -> None:
    schema = {"version": 1, "name": "orders", "fields": [{"name": "id", "type": "long"}]}
    data_table(pipeline, plan_of(pipeline, SchemaFile.model_validate(schema)))


@pytest.mark.parametrize("reach", [opened, data, dead_letter_table])
def test_every_way_to_a_table_trusts_the_stores_authority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reach: Callable[[Pipeline], object]
) -> None:
    """`verify` and `status` must reach a store with a private CA as `run` does."""
    monkeypatch.setenv("SSL_CERT_FILE", "another")
    pipeline = Pipeline.model_validate(
        {
            "version": 1,
            "name": "orders",
            "source": {"kafka": {"bootstrap_servers": "k:9092", "topics": ["orders"]}},
            "schema": {"file": "orders.yaml"},
            "sink": {"delta": {"table": str(tmp_path / "t"), "storage": {"ca_file": "/our/ca"}}},
        }
    )
    reach(pipeline)
    assert os.environ["SSL_CERT_FILE"] == "/our/ca"
